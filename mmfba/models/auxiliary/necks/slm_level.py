# Copyright (c) mmfba authors.
from typing import Optional

from torch import Tensor

from mmfba.local import FeatureBank
from mmfba.registry import MODELS

from ...neck_probe import neck_name
from ..unit_spec import UnitSpec
from .levels import matched_levels, read_stages
from .pyramid_neck import Features, PyramidNeck
from .slm import SLM


@MODELS.register_module()
class SLMLevel(PyramidNeck):
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
        out_channels (int, optional): See :class:`PyramidNeck`. Defaults to
            None.

    Attributes:
        predicted_levels (slice): Which levels of the main network's neck it
            makes.
    """

    def __init__(
        self,
        spec: UnitSpec,
        channel_ratio: float = 0.5,
        blocks_per_stage: int = 1,
        out_channels: Optional[int] = None,
    ) -> None:
        super().__init__(spec, out_channels)
        if not self.main_is_fpn:
            raise ValueError(
                'auxiliary.neck.type=mmfba.SLMLevel: it makes a level of an '
                f'FPN, but the neck of the detector is a '
                f'{neck_name(self.main_neck)}: choose another auxiliary.neck'
            )
        left = spec.remaining_stages
        following = [stage for stage in read_stages(spec) if stage in left]
        if not following:
            raise ValueError(
                'auxiliary.neck.type=mmfba.SLMLevel: no stage follows the '
                f'cut after {spec.cut.name!r}: cut before the last stage ends'
            )
        stage = following[0]
        levels = self.predicted_levels = matched_levels(spec, stage)
        self.slm = SLM(spec, [stage], channel_ratio, blocks_per_stage)
        self.neck = self.copy_main_neck(
            spec,
            [self.slm.channels[stage]],
            start_level=0,
            end_level=-1,
            num_outs=levels.stop - levels.start,
        )

    def collect(self, x: Tensor, bank: FeatureBank) -> Features:
        return tuple(self.slm(x).values())
