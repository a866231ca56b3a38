# Copyright (c) mmfba authors.
"""The main FPN's levels as bank entries, for ``custom_imports``."""

from dataclasses import replace
from typing import Tuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmfba.local import FeatureBank
from mmfba.models.auxiliary import SLMFPN, UnitSpec
from mmfba.registry import MODELS


@MODELS.register_module()
class CrossScaleNeck(SLMFPN):
    """Each level of the local FPN adds the next deeper level of the main FPN.

    That level is made of a first pass (timing ``two_pass``), with the weights
    that the last step left, and not trained from here. It is added by a 1x1
    conv that starts at zero, and for a part of the images only, so that the
    auxiliary network must do without it, too. All else is causal FBA.

    Args:
        spec (UnitSpec): The cut.
        drop (float): Share of the images that go without. Defaults to 0.5.
    """

    def __init__(self, spec: UnitSpec, drop: float = 0.5, **slm) -> None:
        known = list(spec.features)
        known = known[: known.index(spec.cut.name) + 1]
        causal = tuple(n for n in spec.readable if n in known)
        super().__init__(replace(spec, readable=causal), **slm)
        self.drop = drop
        # In a list it is no part of this module.
        self.main_fpn = [spec.main.neck_module]
        self.outputs = spec.main.outputs_read
        self.projects = nn.ModuleList(
            nn.Conv2d(shape[1], self.out_channels, kernel_size=1)
            for shape in spec.main.head_inputs
        )
        for project in self.projects:
            nn.init.zeros_(project.weight)
            nn.init.zeros_(project.bias)

    @property
    def reads(self) -> Tuple[str, ...]:
        """See :attr:`SLMFPN.reads`."""
        return tuple(
            dict.fromkeys([*super().reads, *filter(None, self.outputs)])
        )

    def collect(self, x: Tensor, bank: FeatureBank) -> Tuple[Tensor, ...]:
        """See :meth:`SLMFPN.collect`."""
        own = super().collect(x, bank)
        self.num_own = len(own)
        outputs = tuple(name and bank.get(name) for name in self.outputs)
        with torch.no_grad():
            levels = self.main_fpn[0](outputs)
        kept = torch.rand(len(x), 1, 1, 1, device=x.device) >= self.drop
        return (*own, *levels, kept.to(x))

    def finish(self, features: Tuple[Tensor, ...]) -> Tuple[Tensor, ...]:
        """See :meth:`SLMFPN.finish`."""
        own = super().finish(features[: self.num_own])
        *levels, kept = features[self.num_own :]
        deeper = [*levels[1:], levels[-1]]
        return tuple(
            x + kept * project(F.interpolate(level, size=x.shape[2:]))
            for x, level, project in zip(own, deeper, self.projects)
        )
