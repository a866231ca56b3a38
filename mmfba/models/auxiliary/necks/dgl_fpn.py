# Copyright (c) mmfba authors.
from typing import Optional, Tuple

import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor

from mmfba.local import INPUT, FeatureBank
from mmfba.registry import MODELS

from ..dgl_convs import dgl_convs
from ..initialization import init_cfg_like
from ..unit_spec import UnitSpec
from .levels import level_size
from .slm_fpn import main_neck, neck_copy, slim_channels


@MODELS.register_module()
class DGLFPN(BaseModule):
    r"""Auxiliary neck of DGL in detection: an FPN of one feature.

    .. math::
        f_{A_i}(x) = \mathrm{FPN}\big(\mathrm{resize}_3(h), \dots,
        \mathrm{resize}_5(h)\big), \quad
        h = \mathrm{conv}_{1\times1}^3(\mathrm{pool}_{\lceil s/4\rceil}(x))

    `FBA <https://arxiv.org/abs/2406.00446>`_ compares detection with DGL "by
    multi-scale upsampling and transformations" in its auxiliary networks, and
    says no more. Here it is the part of :class:`DGLAuxiliary` before the
    hidden layers, enlarged bilinearly (or averaged) to each level that the
    main network's neck reads, and a copy of that neck. No feature of an
    earlier module is read.

    Args:
        spec (UnitSpec): The cut.
        out_channels (int, optional): Channels of the FPN. Defaults to None,
            an eighth of the main network's neck, but at least 32.

    Raises:
        ValueError: If the main network's neck is none of a detector.
    """

    def __init__(
        self, spec: UnitSpec, out_channels: Optional[int] = None
    ) -> None:
        super().__init__(init_cfg_like(spec.main.backbone))
        main = main_neck(spec)
        channels = spec.cut.channels
        self.outputs = [
            None if name is None else spec.features[name]
            for name in spec.main.outputs_read
        ]
        self.convs = dgl_convs(channels, channels)
        self.out_channels = out_channels or slim_channels(main)
        self.neck = spec.main.registry.build(
            neck_copy(main, [channels] * len(self.outputs), self.out_channels)
        )

    @property
    def reads(self) -> Tuple[str, ...]:
        """tuple[str]: The image, for its size."""
        return (INPUT,)

    def forward(self, x: Tensor, bank: FeatureBank) -> Tuple[Tensor, ...]:
        """Build the pyramid.

        Args:
            x (Tensor): Feature at the cut, (N, C, H, W).
            bank (FeatureBank): This step's features.

        Returns:
            tuple[Tensor]: Maps (N, out_channels, h, w) of the levels that the
            main network's neck returns.
        """
        return self.finish(self.collect(x, bank))

    def collect(
        self, x: Tensor, bank: FeatureBank
    ) -> Tuple[Optional[Tensor], ...]:
        """What the copy of the main network's neck reads.

        Args:
            x (Tensor): See :meth:`forward`.
            bank (FeatureBank): See :meth:`forward`.

        Returns:
            tuple[Tensor, optional]: A map for each level of the backbone,
            None where the neck does not read it.
        """
        image = bank.get(INPUT)
        size = [-(-side // 4) for side in x.shape[2:]]
        x = self.convs(F.adaptive_avg_pool2d(x, size))
        return tuple(
            None if level is None else _resize(x, level_size(level, image))
            for level in self.outputs
        )

    def finish(
        self, features: Tuple[Optional[Tensor], ...]
    ) -> Tuple[Tensor, ...]:
        """The pyramid of what :meth:`collect` returns."""
        return tuple(self.neck(features))


def _resize(x: Tensor, size: Tuple[int, int]) -> Tensor:
    if x.shape[2] > size[0]:
        return F.adaptive_avg_pool2d(x, size)
    return F.interpolate(x, size, mode='bilinear', align_corners=False)
