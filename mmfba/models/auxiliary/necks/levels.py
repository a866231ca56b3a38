# Copyright (c) mmfba authors.
import math
from dataclasses import dataclass
from typing import Dict, List, Optional, Sequence, Tuple

from torch import Tensor

from mmfba.local import FeatureSpec

from ...neck_probe import map_shapes, neck_name
from ..unit_spec import UnitSpec


@dataclass(frozen=True)
class Level:
    """Where an auxiliary neck takes one backbone output from.

    Args:
        feature (FeatureSpec): The main network's output at this level.
        source (str): ``'unread'`` (the neck does not read it), ``'cut'``,
            ``'slm'``, ``'bank'`` or ``'zeros'``.
        channels (int): Channels of what the source gives.
        fused (bool): Whether the SLM's feature is fused with the bank's.
    """

    feature: FeatureSpec
    source: str
    channels: int
    fused: bool = False


@dataclass(frozen=True)
class LevelPlan:
    """What an auxiliary neck hands to its FPN.

    Args:
        levels (list[Level]): The levels, shallow to deep.
        by_convs (bool): Whether the deeper levels follow by the FPN's
            stride-2 convs; else these are all that the main neck gets.
        num_dropped (int): How many levels come before the first that the
            main network's neck returns.
    """

    levels: List[Level]
    by_convs: bool = False
    num_dropped: int = 0


def level_size(feature: FeatureSpec, image: Tensor) -> List[int]:
    """Height and width of a feature of an image (N, C, H, W)."""
    return [math.ceil(n / feature.stride) for n in image.shape[-2:]]


def plan_levels(
    spec: UnitSpec, mode: str, made: Dict[int, int], bank: Sequence[str]
) -> LevelPlan:
    """Where an auxiliary neck takes its levels from.

    Args:
        spec (UnitSpec): The cut.
        mode (str): See :func:`slm_stages`.
        made (dict[int, int]): Channels of each stage that the SLM makes.
        bank (Sequence[str]): Bank entries that may be read.
    """
    outputs = _outputs(spec)
    levels = [_level(spec, s, name, made, bank) for s, name in outputs]
    if mode != 'stage_tail':
        return LevelPlan(levels)
    # The SLM makes the stage of the cut only.
    tail = next(iter(made))
    read = read_stages(spec)
    deeper = {name for stage, name in outputs if name and stage > tail}
    if tail in read and deeper <= set(bank):
        return LevelPlan(levels)
    earlier = [
        level
        for level in levels
        if level.source != 'unread' and level.feature.stage < tail
    ]
    end = Level(spec.stage_ends[tail], 'slm', made[tail])
    return LevelPlan(
        [*earlier, end], by_convs=True, num_dropped=max(0, read[0] - tail)
    )


def read_stages(spec: UnitSpec) -> List[int]:
    """Stages whose output the main network's neck reads."""
    return [stage for stage, name in _outputs(spec) if name is not None]


def matched_levels(spec: UnitSpec, stage: int) -> slice:
    """Levels of the pyramid that belong to a stage of the backbone: at the
    last one also those that the main network's neck adds behind it.

    Raises:
        ValueError: If the neck does not read the stage, or returns no level
            of its size.
    """
    stages = read_stages(spec)
    if stage not in stages:
        raise ValueError(
            f'auxiliary.neck: it makes the level of stage {stage}, but the '
            f'neck of the detector reads stages {stages}: choose other cuts, '
            "for example local_learning.partition='stage'"
        )
    first = stages.index(stage)
    maps = spec.main.head_inputs
    (shape,) = map_shapes([spec.stage_ends[stage]])
    if first >= len(maps) or maps[first][2:] != shape[2:]:
        raise ValueError(
            'auxiliary.neck: it makes the level of one stage, but '
            f'{neck_name(spec.main.neck)} returns no such level of stage '
            f'{stage}: choose another auxiliary.neck'
        )
    if stage != stages[-1]:
        return slice(first, first + 1)
    return slice(first, len(maps))


def _level(
    spec: UnitSpec,
    stage: int,
    name: Optional[str],
    made: Dict[int, int],
    bank: Sequence[str],
) -> Level:
    feature = spec.stage_ends[stage]
    if name is None:
        return Level(feature, 'unread', feature.channels)
    if stage in made:
        return Level(feature, 'slm', made[stage], fused=name in bank)
    if stage == spec.cut.stage:
        # Complete, or in mode ``later_stages`` not: it stands for its stage.
        return Level(feature, 'cut', spec.cut.channels)
    source = 'bank' if name in bank else 'zeros'
    return Level(feature, source, feature.channels)


def _outputs(spec: UnitSpec) -> List[Tuple[int, Optional[str]]]:
    """Stage and name of each output of the backbone, None if not read."""
    ends = {f.name: stage for stage, f in spec.stage_ends.items()}
    return [
        (ends[name], read)
        for name, read in zip(spec.main.outputs, spec.main.outputs_read)
    ]
