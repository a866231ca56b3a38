# Copyright (c) mmfba authors.
from typing import Optional, Tuple

from mmcv.cnn import ConvModule
from mmengine.model import BaseModule, ModuleList
from torch import Tensor

from mmfba.local import FeatureBank
from mmfba.registry import MODELS

from ..unit_spec import UnitSpec
from .levels import matched_levels
from .slm_fpn import main_neck


@MODELS.register_module()
class ConvLevel(BaseModule):
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
        out_channels (int, optional): Channels of the levels. Defaults to
            None, those of the main network's neck.

    Attributes:
        predicted_levels (slice): Which levels of the main network's neck it
            makes.

    Raises:
        ValueError: If no level belongs to the stage.
    """

    reads: Tuple[str, ...] = ()

    def __init__(
        self, spec: UnitSpec, out_channels: Optional[int] = None
    ) -> None:
        super().__init__(dict(type='Xavier', layer='Conv2d'))
        main = main_neck(spec)
        self.out_channels = out_channels or main['out_channels']
        levels = self.predicted_levels = matched_levels(spec, spec.cut.stage)
        width, norm_cfg = self.out_channels, main.get('norm_cfg')
        first = ConvModule(spec.cut.channels, width, 1, norm_cfg=norm_cfg)
        others = [
            ConvModule(width, width, 3, 2, 1, norm_cfg=norm_cfg, act_cfg=None)
            for _ in range(levels.start + 1, levels.stop)
        ]
        self.neck = ModuleList([first, *others])

    def forward(self, x: Tensor, bank: FeatureBank) -> Tuple[Tensor, ...]:
        """Make the levels.

        Args:
            x (Tensor): Feature, (N, C, H, W).
            bank (FeatureBank): Not used.

        Returns:
            tuple[Tensor]: Maps (N, out_channels, h, w) of
            :attr:`predicted_levels`.
        """
        return self.finish(self.collect(x, bank))

    def collect(self, x: Tensor, bank: FeatureBank) -> Tuple[Tensor]:
        """What the convs read, see :meth:`SLMFPN.collect`."""
        return (x,)

    def finish(self, features: Tuple[Tensor]) -> Tuple[Tensor, ...]:
        """The levels of what :meth:`collect` returns."""
        levels = list(features)
        for conv in self.neck:
            levels.append(conv(levels[-1]))
        return tuple(levels[1:])
