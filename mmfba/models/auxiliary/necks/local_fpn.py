# Copyright (c) mmfba authors.
import torch.nn.functional as F
from torch import Tensor

from mmfba.local import FeatureBank
from mmfba.registry import MODELS

from ..unit_spec import UnitSpec
from .auxiliary_neck import AuxiliaryNeck, Features

MIN_STRIDE, MAX_STRIDE = 4, 64


@MODELS.register_module()
class LocalFPN(AuxiliaryNeck):
    r"""Auxiliary neck of any detector: an FPN of its own (S1 eq. 5).

    .. math::
        f_{A_i}(x) = \mathrm{LocalFPN}(x, F_{bank})

    Unlike :class:`BankFPN` it asks nothing of the main network's neck, which
    may be missing, be a transformer, or read one map only. It is mmdet's
    ``FPN`` over the map at the cut and one map of the bank, the latest, for
    each of the strides next to it: each level has twice the stride of the
    level before, and maps beyond a gap are left out. Stride-2 convs on the
    last output make the levels up to stride 64. Levels begin at stride 4, to
    which an earlier cut is averaged.

    Args:
        spec (UnitSpec): The cut.
        out_channels (int): Channels of the pyramid. Defaults to 32, an eighth
            of the usual 256.

    Attributes:
        strides (tuple[int]): Stride of each level, shallow to deep.
    """

    def __init__(self, spec: UnitSpec, out_channels: int = 32) -> None:
        super().__init__()
        registry, cut = spec.main.registry, spec.cut
        if registry is None or registry.get('FPN') is None:
            raise ValueError(
                'auxiliary.neck.type=mmfba.LocalFPN is for detectors: choose '
                'another auxiliary.neck'
            )
        self.out_channels = out_channels
        self.pool = max(1, round(MIN_STRIDE / cut.stride))
        levels = {
            feature.stride: feature
            for name, feature in spec.features.items()
            if name in spec.readable and feature.stride >= MIN_STRIDE
        }
        strides = [cut.stride * self.pool]
        levels[strides[0]] = cut
        while strides[0] / 2 in levels:
            strides.insert(0, strides[0] // 2)
        while strides[-1] * 2 in levels:
            strides.append(strides[-1] * 2)
        self.levels = [levels[stride] for stride in strides]
        while strides[-1] * 2 <= MAX_STRIDE:
            strides.append(strides[-1] * 2)
        self.strides = tuple(strides)
        self.cut = cut.name
        self.reads = tuple(
            level.name for level in self.levels if level.name != cut.name
        )
        self.fpn = registry.build(
            dict(
                type='FPN',
                in_channels=[level.channels for level in self.levels],
                out_channels=out_channels,
                add_extra_convs='on_output',
                num_outs=len(strides),
            )
        )

    def collect(self, x: Tensor, bank: FeatureBank) -> Features:
        if self.pool > 1:
            x = F.avg_pool2d(x, self.pool, ceil_mode=True)
        return tuple(
            x if level.name == self.cut else bank.get(level.name)
            for level in self.levels
        )

    def finish(self, features: Features) -> Features:
        return self.fpn(features)
