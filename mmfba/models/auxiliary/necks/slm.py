# Copyright (c) mmfba authors.
from typing import Dict, Tuple

from mmengine.model import BaseModule, ModuleDict
from torch import Tensor, nn

from ...blocks import forward_blocks
from ...choices import check_choice
from ..initialization import init_cfg_like
from ..unit_spec import UnitSpec

MODES = ('stage_chain', 'later_stages', 'stage_tail')


class SLM(BaseModule):
    """Simple local module: simplified blocks of the backbone's own kind.

    Args:
        spec (UnitSpec): The cut.
        mode (str): Which stages it makes, see :func:`slm_stages`.
        channel_ratio (float): Width of the blocks in proportion to the
            backbone's stage, rounded to multiples of 8.
        blocks_per_stage (int): Number of blocks for each stage; with 0 the
            feature at the cut stands for its stage as it is, which takes mode
            ``stage_tail``.
    """

    def __init__(
        self,
        spec: UnitSpec,
        mode: str,
        channel_ratio: float,
        blocks_per_stage: int,
    ) -> None:
        super().__init__(init_cfg=init_cfg_like(spec.main.backbone))
        stages = slm_stages(spec, mode)
        _check(channel_ratio, blocks_per_stage)
        self.mode, self.channel_ratio = mode, channel_ratio
        self.blocks_per_stage = blocks_per_stage
        self.recompute = spec.checkpoint
        self.channels: Dict[int, int] = {}
        self.stages = ModuleDict()
        channels, stride = spec.cut.channels, spec.cut.stride
        for stage in stages:
            end = spec.stage_ends[stage]
            if blocks_per_stage == 0:
                _check_same_stride(spec, stage)
                self.stages[str(stage)] = nn.Sequential()
                self.channels[stage] = channels
                continue
            width = _width(end.channels, channel_ratio)
            self.stages[str(stage)] = spec.main.make_stage(
                channels, width, end.stride // stride, blocks_per_stage
            )
            self.channels[stage] = width
            channels, stride = width, end.stride

    @property
    def words(self) -> str:
        """str: Its kind and width, such as ``'stage_tail x0.5'``; none where
        it has no blocks."""
        count = self.blocks_per_stage
        if count == 0:
            return 'none'
        several = f', {count} blocks a stage' if count > 1 else ''
        return f'{self.mode} x{float(self.channel_ratio)}{several}'

    def forward(self, x: Tensor) -> Dict[int, Tensor]:
        """The features made for each stage, in order, of that at the cut."""
        features = {}
        for stage, blocks in self.stages.items():
            x = forward_blocks(blocks, x, self.recompute)
            features[int(stage)] = x
        return features


def slm_stages(spec: UnitSpec, mode: str) -> Tuple[int, ...]:
    """Stages that the SLM makes at a cut.

    The two versions of the paper define it differently:

    - ``stage_chain`` (S2 eq. 4): one block for every stage that is not
      complete at the cut, each with the stride of its stage;
    - ``later_stages``: the same without the cut's own stage, whose largest
      maps cost most; in the last stage a block of that one;
    - ``stage_tail`` (S1 eq. 2): one block of the cut's own stage, stride 1.
      At the stem, which belongs to no stage, the block is of stage 1.
    """
    check_choice('auxiliary.neck.mode', mode, MODES)
    if mode == 'stage_chain':
        return spec.remaining_stages
    if mode == 'later_stages':
        left = spec.remaining_stages
        return tuple(s for s in left if s > spec.cut.stage) or left
    return (max(spec.cut.stage, 1),)


def _width(channels: int, ratio: float) -> int:
    return channels if ratio == 1 else max(8, round(channels * ratio / 8) * 8)


def _check(channel_ratio: float, blocks_per_stage: int) -> None:
    number = isinstance(channel_ratio, (int, float))
    if not (number and 0 < channel_ratio <= 4):
        raise ValueError(
            f'auxiliary.neck.channel_ratio={channel_ratio!r}: '
            'expected a number above 0, at most 4'
        )
    if type(blocks_per_stage) is not int or blocks_per_stage < 0:
        raise ValueError(
            f'auxiliary.neck.blocks_per_stage={blocks_per_stage!r}'
            ': expected an integer of at least 0'
        )


def _check_same_stride(spec: UnitSpec, stage: int) -> None:
    if spec.stage_ends[stage].stride != spec.cut.stride:
        raise ValueError(
            'auxiliary.neck.blocks_per_stage=0: without a block the feature '
            f'after {spec.cut.name!r} cannot get the size of stage {stage}: '
            "set mode='stage_tail'"
        )
