# Copyright (c) mmfba authors.
from typing import Iterable, List, Sequence, Tuple

import torch
from mmdet.models.dense_heads import FCOSHead
from torch import Tensor, nn

from mmfba.registry import MODELS

from ..canvas import Canvas


@MODELS.register_module()
class CanvasFCOSHead(FCOSHead):
    """FCOSHead for auxiliary networks: a layer runs once, for all levels.

    The levels lie on a :class:`mmfba.models.canvas.Canvas`. It predicts what
    FCOSHead predicts, if its norm sees one pixel only.

    Args:
        Those of mmdet's ``FCOSHead``, with ``norm_on_bbox=True``, and a
            :class:`ChannelNorm` as ``norm_cfg`` or none.

    Raises:
        ValueError: If an option would have no effect.
    """

    on_canvas = True

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        if not self.norm_on_bbox or self.centerness_on_reg:
            raise ValueError(
                "type='mmfba.CanvasFCOSHead': set norm_on_bbox=True, and "
                'centerness_on_reg=False'
            )

    def forward(self, features: Sequence[Tensor]) -> Tuple[List[Tensor], ...]:
        """Predict.

        Args:
            features (Sequence[Tensor]): A map (N, C, h, w) of each level.

        Returns:
            tuple[list[Tensor]]: Scores (N, num_classes, H, W), distances
            (N, 4, H, W) and centerness (N, 1, H, W), each on one canvas.
        """
        canvas = Canvas(tuple(tuple(f.shape[-2:]) for f in features))
        x = canvas.pack(features)
        of_class = self._tower(canvas, self.cls_convs, x)
        of_box = self._tower(canvas, self.reg_convs, x)
        scales = torch.stack([layer.scale for layer in self.scales])
        levels = canvas.levels(scales.dtype, x.device)
        scale = (scales[:, None, None] * levels).sum(0)
        return (
            [self.conv_cls(of_class)],
            [(self.conv_reg(of_box) * scale).relu()],
            [self.conv_centerness(of_class)],
        )

    def _tower(
        self, canvas: Canvas, layers: Iterable[nn.Module], x: Tensor
    ) -> Tensor:
        for layer in layers:
            x = canvas.relu(layer(x, activate=False))
        return x
