# Copyright (c) mmfba authors.
from typing import Mapping, Tuple

from mmcv.cnn import ConvModule
from mmengine.model import ModuleList
from torch import Tensor

from mmfba.local import FeatureBank
from mmfba.registry import MODELS

from ..unit_spec import UnitSpec
from .levels import matched_levels
from .pyramid_neck import Features, PyramidNeck


@MODELS.register_module()
class ConvLevel(PyramidNeck):
    r"""Level-matched auxiliary neck of MAN++ in detection.

    .. math::
        P_j = \mathrm{ReLU}(\mathrm{conv}_{1\times1}(x)), \qquad
        P_{j+1} = \mathrm{conv}_{3\times3}^{\mathrm{stride}\,2}(P_j)

    It makes the level of the pyramid that belongs to the stage of x; at the
    last stage also the levels that the main network's neck adds behind it, by
    convs of stride 2. So it is in the detectors of `MAN++
    <https://github.com/JunhaoSu0/MAN_PlusPlus>`_, where x comes from the next
    stage's first unit, see :class:`MANAuxiliary`. It reads nothing of the
    bank.

    Args:
        spec (UnitSpec): The cut.

    Attributes:
        predicted_levels (slice): Which levels of the main network's neck it
            makes.

    Raises:
        ValueError: If no level belongs to the stage.
    """

    def __init__(self, spec: UnitSpec) -> None:
        init_cfg = dict(type='Xavier', layer='Conv2d')
        super().__init__(spec, None, init_cfg)
        levels = self.predicted_levels = matched_levels(spec, spec.cut.stage)
        maps = spec.main.head_inputs[levels]
        width = self.out_channels = maps[0][1]
        norm_cfg = None
        if isinstance(self.main_neck, Mapping):
            norm_cfg = self.main_neck.get('norm_cfg')
        first = ConvModule(spec.cut.channels, width, 1, norm_cfg=norm_cfg)
        others = [
            ConvModule(width, width, 3, 2, 1, norm_cfg=norm_cfg, act_cfg=None)
            for _ in range(levels.start + 1, levels.stop)
        ]
        self.neck = ModuleList([first, *others])

    def collect(self, x: Tensor, bank: FeatureBank) -> Features:
        return (x,)

    def finish(self, features: Features) -> Tuple[Tensor, ...]:
        levels = list(features)
        for conv in self.neck:
            levels.append(conv(levels[-1]))
        return tuple(levels[1:])
