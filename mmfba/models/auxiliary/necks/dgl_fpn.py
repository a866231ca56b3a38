# Copyright (c) mmfba authors.
from typing import Optional, Tuple

import torch.nn.functional as F
from torch import Tensor

from mmfba.local import INPUT, FeatureBank
from mmfba.registry import MODELS

from ..dgl_auxiliary import dgl_convs
from ..initialization import init_cfg_like
from ..unit_spec import UnitSpec
from .levels import level_size
from .pyramid_neck import Features, PyramidNeck


@MODELS.register_module()
class DGLFPN(PyramidNeck):
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
        out_channels (int, optional): See :class:`PyramidNeck`. Defaults to
            None.
    """

    reads = (INPUT,)  # for its size

    def __init__(
        self, spec: UnitSpec, out_channels: Optional[int] = None
    ) -> None:
        init_cfg = init_cfg_like(spec.main.backbone)
        super().__init__(spec, out_channels, init_cfg)
        channels = spec.cut.channels
        self.outputs = [
            None if name is None else spec.features[name]
            for name in spec.main.outputs_read
        ]
        self.convs = dgl_convs(channels, channels)
        self.neck = self.copy_main_neck(spec, [channels] * len(self.outputs))

    def collect(self, x: Tensor, bank: FeatureBank) -> Features:
        image = bank.get(INPUT)
        size = [-(-side // 4) for side in x.shape[2:]]
        x = self.convs(F.adaptive_avg_pool2d(x, size))
        return tuple(
            None if level is None else _resize(x, level_size(level, image))
            for level in self.outputs
        )


def _resize(x: Tensor, size: Tuple[int, int]) -> Tensor:
    if x.shape[2] > size[0]:
        return F.adaptive_avg_pool2d(x, size)
    return F.interpolate(x, size, mode='bilinear', align_corners=False)
