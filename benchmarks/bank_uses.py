# Copyright (c) mmfba authors.
"""Other uses of the bank than mmfba's, for ``custom_imports`` of a config."""

from typing import Tuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmfba.local import FeatureBank
from mmfba.models.auxiliary import SLMNeck, UnitSpec
from mmfba.registry import MODELS


@MODELS.register_module()
class StageEndNeck(SLMNeck):
    """The bank as a second input of the SLM's stages.

    Each stage of the SLM adds what the main network's own stage returned in a
    first pass, a map of the same size, through a 1x1 conv and a norm.

    Args:
        spec (UnitSpec): The cut; ``taps`` are the ends of the stages.
        drop (float): Share of the images that go without it, drawn for each
            stage and step, so that the SLM must do without it, too. Defaults
            to 0.0.
    """

    def __init__(self, spec: UnitSpec, drop: float = 0.0, **slm) -> None:
        super().__init__(spec, **slm)
        self.drop = drop
        ends = {str(s): spec.stage_ends[s].name for s in self.slm.channels}
        self.ends = {s: n for s, n in ends.items() if n in spec.readable}
        self.reads = tuple(self.ends.values())
        self.projects = nn.ModuleDict(
            {
                stage: nn.Sequential(
                    nn.Conv2d(
                        spec.features[name].channels,
                        self.slm.channels[int(stage)],
                        kernel_size=1,
                        bias=False,
                    ),
                    nn.BatchNorm2d(self.slm.channels[int(stage)]),
                )
                for stage, name in self.ends.items()
            }
        )

    def collect(self, x: Tensor, bank: FeatureBank) -> Tuple[Tensor]:
        """See :meth:`SLMNeck.collect`."""
        for stage, blocks in self.slm.stages.items():
            x = blocks(x)
            if stage in self.ends:
                added = self.projects[stage](bank.get(self.ends[stage]))
                drawn = torch.rand(len(x), 1, 1, 1, device=x.device)
                x = x + added * (drawn >= self.drop).to(added)
        return self.pool((x,))


@MODELS.register_module()
class AttentionNeck(SLMNeck):
    """The SLM's pooled feature asks all earlier features of the bank: dot
    product attention over their maps of 4x4 pixels, added with a factor that
    starts at zero.

    Args:
        spec (UnitSpec): The cut; ``taps`` are maps.
        width (int): Channels of queries and keys. Defaults to 32.
    """

    def __init__(self, spec: UnitSpec, width: int = 32, **slm) -> None:
        super().__init__(spec, **slm)
        self.reads = spec.readable
        channels = [spec.features[name].channels for name in self.reads]
        self.query = nn.Linear(self.out_channels, width)
        self.keys = nn.ModuleList(nn.Linear(c, width) for c in channels)
        self.values = nn.ModuleList(
            nn.Linear(c, self.out_channels) for c in channels
        )
        self.factor = nn.Parameter(torch.zeros(()))

    def collect(self, x: Tensor, bank: FeatureBank) -> Tuple[Tensor]:
        """See :meth:`SLMNeck.collect`."""
        *_, x = self.slm(x).values()
        (x,) = self.pool((x,))
        if not self.reads:
            return (x,)
        maps = [
            F.adaptive_avg_pool2d(bank.get(name), 4).flatten(2).mT
            for name in self.reads
        ]
        keys, values = (
            torch.cat([layer(m) for layer, m in zip(layers, maps)], dim=1)
            for layers in (self.keys, self.values)
        )
        asked = self.query(x)[:, None]
        found = F.scaled_dot_product_attention(asked, keys, values)
        return (x + self.factor * found[:, 0],)
