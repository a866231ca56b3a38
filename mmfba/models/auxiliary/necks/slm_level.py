# Copyright (c) mmfba authors.
from typing import Optional, Tuple

from mmengine.model import BaseModule
from torch import Tensor

from mmfba.local import FeatureBank
from mmfba.registry import MODELS

from ..unit_spec import UnitSpec
from .levels import read_stages
from .slm import SLM
from .slm_fpn import slim_channels


@MODELS.register_module()
class SLMLevel(BaseModule):
    """Level-matched auxiliary neck of detection.

    The SLM makes the stage that follows the cut, and the head predicts the
    pyramid's level of that stage alone; at the last stage also the levels
    that the main network's FPN adds behind it. So modules are matched with
    levels in `MAN++ <https://github.com/JunhaoSu0/MAN_PlusPlus>`_. It reads
    nothing of the bank.

    Args:
        spec (UnitSpec): The cut.
        channel_ratio (float): See :class:`SLM`. Defaults to 0.5.
        blocks_per_stage (int): See :class:`SLM`. Defaults to 1.
        out_channels (int, optional): See :class:`SLMFPN`. Defaults to None.

    Attributes:
        predicted_levels (slice): Which levels of the main network's neck it
            makes.
    """

    reads: Tuple[str, ...] = ()

    def __init__(
        self,
        spec: UnitSpec,
        channel_ratio: float = 0.5,
        blocks_per_stage: int = 1,
        out_channels: Optional[int] = None,
    ) -> None:
        super().__init__()
        main = spec.main.neck or {}
        if main.get('type', '').split('.')[-1] != 'FPN':
            raise ValueError(
                'auxiliary.neck.type=mmfba.SLMLevel: it makes a level of an '
                f'FPN, but the neck of the detector is {main.get("type")}: '
                'choose another auxiliary.neck'
            )
        stages = read_stages(spec)
        following = [s for s in stages if s in spec.remaining_stages]
        if not following:
            raise ValueError(
                'auxiliary.neck.type=mmfba.SLMLevel: no stage follows the '
                f'cut after {spec.cut.name!r}: cut before the last stage ends'
            )
        stage = following[0]
        first = stages.index(stage)
        last = stage == stages[-1]
        self.predicted_levels = slice(
            first, main['num_outs'] if last else first + 1
        )
        self.slm = SLM(spec, [stage], channel_ratio, blocks_per_stage)
        self.out_channels = out_channels or slim_channels(main)
        self.neck = spec.main.registry.build(
            dict(
                main,
                in_channels=[self.slm.channels[stage]],
                out_channels=self.out_channels,
                start_level=0,
                end_level=-1,
                num_outs=self.predicted_levels.stop
                - self.predicted_levels.start,
            )
        )

    def forward(self, x: Tensor, bank: FeatureBank) -> Tuple[Tensor, ...]:
        """Make the levels.

        Args:
            x (Tensor): Feature at the cut, (N, C, H, W).
            bank (FeatureBank): Not used.

        Returns:
            tuple[Tensor]: Maps (N, out_channels, h, w) of
            :attr:`predicted_levels`.
        """
        return self.finish(self.collect(x, bank))

    def collect(self, x: Tensor, bank: FeatureBank) -> Tuple[Tensor]:
        """What the FPN reads, see :meth:`SLMFPN.collect`."""
        return tuple(self.slm(x).values())

    def finish(self, features: Tuple[Tensor]) -> Tuple[Tensor, ...]:
        """The levels of what :meth:`collect` returns."""
        return tuple(self.neck(features))
