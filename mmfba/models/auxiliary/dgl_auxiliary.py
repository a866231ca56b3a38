# Copyright (c) mmfba authors.
from typing import Any, Dict, Optional

import torch.nn.functional as F
from torch import Tensor, nn

from mmfba.local import FeatureBank
from mmfba.registry import MODELS

from ..choices import check_choice
from .auxiliary_network import AuxiliaryNetwork
from .heads.classifier import build_classifier
from .initialization import init_cfg_like
from .unit_spec import UnitSpec

HIDDEN_LAYERS = {'original': 3, 'auglocal': 2, 'manpp': 3}
"""Hidden linear layers of each variant."""


@MODELS.register_module()
class DGLAuxiliary(AuxiliaryNetwork):
    r"""Decoupled greedy learning: a pooled MLP (MLP-SR-aux).

    .. math::
        L_i = \mathrm{CE}\big(W_{cls}\,\mathrm{MLP}(\mathrm{pool}_{2}(
        \mathrm{conv}_{1\times1}^3(\mathrm{pool}_{\lceil s/4\rceil}(x)))),
        \; y\big)

    `Decoupled Greedy Learning of CNNs <https://arxiv.org/abs/1901.08164>`_:
    the map of side s is averaged to :math:`\lceil s/4 \rceil`, three 1x1
    convs with batch normalisation and ReLU follow, then an average to 2x2, the
    hidden linear layers with batch normalisation and ReLU, and the
    classifier. Networks by that name differ:

    - ``original``: three hidden layers with bias, as the authors publish it.
      Their module also holds a batch normalisation that is never run; it is
      left out here, since DistributedDataParallel refuses it.
    - ``auglocal``: two hidden layers without bias, as
      `AugLocal <https://arxiv.org/abs/2402.17318>`_ compares with.
    - ``manpp``: as MAN's authors publish it beneath MAN: averaged to 8x8,
      convs of 128 channels, the global average in place of 2x2, three hidden
      layers of 512 with bias.

    Args:
        spec (UnitSpec): The cut.
        variant (str): One of the above.
    """

    def __init__(self, spec: UnitSpec, variant: str) -> None:
        super().__init__(init_cfg_like(spec.main.backbone))
        check_choice('auxiliary.variant', variant, HIDDEN_LAYERS)
        channels = spec.cut.channels
        self.pool_size: Optional[int] = None  # by the size of the map
        pooled_size, width, hidden = 2, channels, 4 * channels
        if variant == 'manpp':
            self.pool_size, pooled_size, width, hidden = 8, 1, 128, 512
        self.convs = dgl_convs(channels, width)
        layers = [nn.AdaptiveAvgPool2d(pooled_size), nn.Flatten()]
        for i in range(HIDDEN_LAYERS[variant]):
            in_channels = hidden if i else width * pooled_size**2
            layers += [
                nn.Linear(in_channels, hidden, bias=variant != 'auglocal'),
                nn.BatchNorm1d(hidden),
                nn.ReLU(inplace=True),
            ]
        self.mlp = nn.Sequential(*layers)
        self.head = build_classifier(spec, hidden)

    def loss(
        self, x: Tensor, bank: FeatureBank, data_samples: Any
    ) -> Dict[str, Any]:
        size = self.pool_size
        if size is None:
            size = [-(-side // 4) for side in x.shape[2:]]
        x = self.convs(F.adaptive_avg_pool2d(x, size))
        return self.head.loss((self.mlp(x),), data_samples)


def dgl_convs(
    in_channels: int, width: int, batch_norm: bool = True
) -> nn.Sequential:
    """The three 1x1 convs of DGL's auxiliary network, each with ReLU; with
    batch normalisation they have no bias."""
    layers = []
    for i in range(3):
        channels = width if i else in_channels
        layers.append(nn.Conv2d(channels, width, 1, bias=not batch_norm))
        if batch_norm:
            layers.append(nn.BatchNorm2d(width))
        layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers)
