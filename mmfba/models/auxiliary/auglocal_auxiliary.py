# Copyright (c) mmfba authors.
from typing import Any, Dict, List

from mmengine.model import ModuleList
from torch import Tensor, nn

from mmfba.local import INPUT, FeatureBank, FeatureSpec
from mmfba.registry import MODELS

from ..blocks import forward_blocks
from .auxiliary_network import AuxiliaryNetwork
from .heads.classifier import build_classifier
from .initialization import init_cfg_like
from .unit_spec import UnitSpec


@MODELS.register_module()
class AugLocalAuxiliary(AuxiliaryNetwork):
    r"""Auxiliary network of uniformly selected later layers.

    .. math::
        l_i = \mathrm{round}\big(l + i\,(L - l) / d_l\big),
        \quad i = 1, \dots, d_l, \qquad
        d_l = \max\big(1, \mathrm{round}(d\,(1 - \tau_l) + \tau_l)\big),
        \quad \tau_l = \tau\,\frac{l}{K-2}

    `Scaling Supervised Local Learning with Augmented Auxiliary Networks
    <https://arxiv.org/abs/2402.17318>`_: uniform selection and pyramidal
    depth. The module that ends at layer l of 0 to L is trained, by cross
    entropy, through new blocks of the backbone's own kind with the widths of
    layers :math:`l_i`, the global average (batch normalised where
    :math:`d_l = 1`) and the classifier. Where fewer than
    :math:`d_l` layers are left, all of them are taken. A block halves the map
    at most once; what is left to halve, the next block does.

    Note:
        In :math:`\tau_l` l counts modules, which are layers if each module is
        one. On CIFAR the authors train the last d + 1 layers as one module:
        :class:`JointTailPartition`.

    Args:
        spec (UnitSpec): The cut.
        depth (int): d, blocks of the first auxiliary network.
        tau (float): How much shallower the last is, from 0 to 1. Defaults to
            0.5.
    """

    def __init__(self, spec: UnitSpec, depth: int, tau: float = 0.5) -> None:
        super().__init__(init_cfg_like(spec.main.backbone))
        if not isinstance(depth, int) or depth < 1:
            raise ValueError(
                f'auxiliary.depth={depth!r}: expected a number of blocks, at '
                'least 1'
            )
        if not 0 <= tau <= 1:
            raise ValueError(
                f'auxiliary.tau={tau!r}: expected a number from 0 to 1'
            )
        depth = pyramid_depth(depth, tau, spec.index, spec.num_modules)
        self.recompute = spec.checkpoint
        self.blocks = ModuleList()
        channels, stride = spec.cut.channels, spec.cut.stride
        for layer in select_layers(spec, depth):
            halving = min(2, layer.stride // stride)
            self.blocks.extend(
                spec.main.make_stage(channels, layer.channels, halving, 1)
            )
            channels, stride = layer.channels, stride * halving
        norm = depth == 1
        self.norm = nn.BatchNorm1d(channels) if norm else nn.Identity()
        self.head = build_classifier(spec, channels)

    def loss(
        self, x: Tensor, bank: FeatureBank, data_samples: Any
    ) -> Dict[str, Any]:
        x = forward_blocks(self.blocks, x, self.recompute)
        pooled = self.norm(x.mean(dim=(2, 3)))
        return self.head.loss((pooled,), data_samples)


def pyramid_depth(depth: int, tau: float, index: int, num_modules: int) -> int:
    """Blocks of the auxiliary network of module ``index`` of ``num_modules``,
    :math:`d_l`, where the first has ``depth``."""
    falling = tau * index / (num_modules - 2) if num_modules > 2 else 0
    # To even where it is halfway, as Python rounds.
    return max(1, round(depth * (1 - falling) + falling))


def select_layers(spec: UnitSpec, depth: int) -> List[FeatureSpec]:
    """The layers whose widths ``depth`` blocks take, :math:`l_i`."""
    layers = [f for f in spec.features.values() if f.name != INPUT]
    at = layers.index(spec.cut)
    rest = len(layers) - 1 - at
    if depth >= rest:
        return layers[at + 1 :]
    return [layers[round(at + rest / depth * i)] for i in range(1, depth + 1)]
