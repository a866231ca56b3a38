# Copyright (c) mmfba authors.
from dataclasses import dataclass
from typing import Dict, List, Optional, Sequence, Tuple

from torch import Tensor

from mmfba.local import FeatureSpec

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

    @property
    def banked(self) -> bool:
        """bool: Whether the bank is read."""
        return self.fused or self.source == 'bank'

    def zeros(self, x: Tensor, stride: int) -> Tensor:
        """A map of zeros of this level's size.

        Args:
            x (Tensor): The feature at the cut, (N, C, H, W).
            stride (int): Its stride in pixels.
        """
        size = [n * stride // self.feature.stride for n in x.shape[-2:]]
        return x.new_zeros(x.shape[0], self.channels, *size)


def plan_levels(
    spec: UnitSpec, mode: str, made: Dict[int, int], bank: Sequence[str]
) -> Tuple[List[Level], Optional[int]]:
    """Where an auxiliary neck takes its levels from.

    Args:
        spec (UnitSpec): The cut.
        mode (str): See :class:`SLM`.
        made (dict[int, int]): Channels of each stage that the SLM makes.
        bank (Sequence[str]): Bank entries that may be read.

    Returns:
        tuple[list[Level], int | None]: The levels. The second is None if
        they are all that the main network's neck gets. Else the deeper levels
        are to follow by stride-2 convs, and it says how many of these come
        before the first that is read.
    """
    outputs = _outputs(spec)
    (stage, *_), read = made, [s for s, name in outputs if name is not None]
    deeper = {name for s, name in outputs if name and s > stage}
    if mode == 'stage_chain' or (stage in read and deeper <= set(bank)):
        return [_level(spec, s, name, made, bank) for s, name in outputs], None
    levels = [
        _level(spec, s, name, made, bank)
        for s, name in outputs
        if name is not None and s < stage
    ]
    levels.append(Level(spec.stage_ends[stage], 'slm', made[stage]))
    return levels, max(0, read[0] - stage)


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
    if name == spec.cut.name:
        return Level(feature, 'cut', feature.channels)
    source = 'bank' if name in bank else 'zeros'
    return Level(feature, source, feature.channels)


def _outputs(spec: UnitSpec) -> List[Tuple[int, Optional[str]]]:
    """Stage and name of each output of the backbone, None if not read."""
    ends = {f.name: stage for stage, f in spec.stage_ends.items()}
    return [
        (ends[name], read)
        for name, read in zip(spec.main.chain.outputs, spec.main.outputs)
    ]
