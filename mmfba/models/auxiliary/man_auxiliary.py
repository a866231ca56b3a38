# Copyright (c) mmfba authors.
from dataclasses import replace
from typing import Any, Dict, Tuple

import torch
from torch import Tensor, nn

from mmfba.local import FeatureBank, ImageWise
from mmfba.local.copies import copy_module
from mmfba.registry import MODELS

from ..blocks import forward_blocks
from .auxiliary_network import AuxiliaryNetwork
from .unit_spec import UnitSpec

MOMENTUM = 0.995
"""m of the paper."""


@MODELS.register_module()
class MANAuxiliary(AuxiliaryNetwork):
    r"""Momentum auxiliary network: the next unit in front of another method.

    .. math::
        L_i = L_{host}\big(B(x) + E(x),\; y\big), \qquad
        \theta_E \leftarrow m\,\theta_E + (1 - m)\,\theta_{next}

    `Momentum Auxiliary Network for Supervised Local Learning
    <https://arxiv.org/abs/2407.05623>`_ (ECCV 2024). B, trained by this loss,
    and E, frozen, begin as copies of the first unit of the next module; E
    follows that unit by an exponential moving average. Gradients pass E
    to the module, but do not change it. The host is any other auxiliary
    network, built for what the next unit returns.

    `MAN++ <https://github.com/JunhaoSu0/MAN_PlusPlus>`_ balances the two by
    a number s that is trained too, from 1 on: :math:`s B(x) + (2 - s) E(x)`.

    Note:
        The average is taken after the optimizer's step, of parameters alone:
        the statistics of E's batch normalisation are the batch's. The
        authors' code averages before the step, and starts E from weights that
        are drawn anew afterwards.

        B and E copy the weights that the model is initialised with. A
        checkpoint without auxiliary weights, as ``load_from`` of a plain
        one, is loaded later: they keep the earlier weights then.

    Args:
        spec (UnitSpec): The cut.
        host (dict): Config of the auxiliary network behind.
        learn_scale (bool): Whether the two are balanced as in MAN++.
            Defaults to False.
    """

    def __init__(
        self,
        spec: UnitSpec,
        host: Dict[str, Any],
        learn_scale: bool = False,
    ) -> None:
        super().__init__()
        self.recompute = spec.checkpoint
        names = list(spec.features)
        following = names[names.index(spec.cut.name) + 1]
        if following not in spec.main.blocks:
            raise ValueError(
                'auxiliary.type=mmfba.MANAuxiliary copies the unit behind the '
                f'cut, and {following!r} is no module of its own: choose '
                'other cuts'
            )
        block = spec.main.blocks[following]
        # In a tuple it is no submodule: it stays the main model's.
        self._next = (block,)
        self.learned = copy_module(block)
        self.average = copy_module(block).requires_grad_(False)
        self.scale = nn.Parameter(torch.ones(())) if learn_scale else None
        readable = spec.readable
        if spec.cut.name in spec.main.outputs_read:
            # The host's cut is a unit on, so that this one is behind it.
            readable += (spec.cut.name,)
        ahead = replace(spec, cut=spec.features[following], readable=readable)
        self.host = MODELS.build(host, default_args=dict(spec=ahead))

    def init_weights(self) -> None:
        """Copy the next unit again: its weights are final only now."""
        super().init_weights()
        for block in (self.learned, self.average):
            block.load_state_dict(self._next[0].state_dict())

    @property
    def reads(self) -> Tuple[str, ...]:
        return self.host.reads

    @property
    def parts(self) -> Dict[str, str]:
        return self.host.parts

    @property
    def shared_modules(self) -> Tuple[nn.Module, ...]:
        return self.host.shared_modules

    def loss(
        self, x: Tensor, bank: FeatureBank, data_samples: Any
    ) -> Dict[str, Any]:
        return self.host.loss(self._ahead(x), bank, data_samples)

    def image_wise(
        self, x: Tensor, bank: FeatureBank, data_samples: Any
    ) -> ImageWise:
        return self.host.image_wise(self._ahead(x), bank, data_samples)

    def check_image_wise(self) -> None:
        self.host.check_image_wise()

    def _ahead(self, x: Tensor) -> Tensor:
        """What the host is given for the feature at the cut."""
        learned, average = (
            forward_blocks([block], x, self.recompute)
            for block in (self.learned, self.average)
        )
        if self.scale is None:
            return learned + average
        return self.scale * learned + (2 - self.scale) * average

    @torch.no_grad()
    def after_step(self) -> None:
        sources = self._next[0].parameters()
        for average, source in zip(self.average.parameters(), sources):
            average.lerp_(source, 1 - MOMENTUM)
        self.host.after_step()
