# Copyright (c) mmfba authors.
from typing import Tuple

import torch
from mmdet.models.task_modules.coders import BaseBBoxCoder
from torch import Tensor

from mmfba.registry import TASK_UTILS


@TASK_UTILS.register_module()
class YOLOV1BBoxCoder(BaseBBoxCoder):
    r"""Boxes as YOLOv1 predicts them: :math:`(x, y, \sqrt w, \sqrt h)`.

    The center (x, y) is relative to the grid cell, 0 to 1 within it; width
    and height are relative to the whole image. `You Only Look Once
    <https://arxiv.org/abs/1506.02640>`_, section 2.

    Args:
        **kwargs: Of mmdet's ``BaseBBoxCoder``.
    """

    def encode(
        self, bboxes: Tensor, gt_bboxes: Tensor, img_shape: Tuple[int, int]
    ) -> Tensor:
        """Encode boxes.

        Args:
            bboxes (Tensor): Grid cells (x1, y1, x2, y2) in pixels, (N, 4).
            gt_bboxes (Tensor): A box for each, in the same form.
            img_shape (tuple[int, int]): Height and width of the image in
                pixels.

        Returns:
            Tensor: (N, 4).
        """
        centers = (gt_bboxes[..., :2] + gt_bboxes[..., 2:]) / 2
        cell_sizes = bboxes[..., 2:] - bboxes[..., :2]
        offsets = (centers - bboxes[..., :2]) / cell_sizes
        sizes = gt_bboxes[..., 2:] - gt_bboxes[..., :2]
        sizes = sizes / sizes.new_tensor(img_shape[1::-1])
        return torch.cat([offsets, sizes.sqrt()], dim=-1)

    def decode(
        self, bboxes: Tensor, pred_bboxes: Tensor, img_shape: Tuple[int, int]
    ) -> Tensor:
        """The inverse of :meth:`encode`.

        Args:
            bboxes (Tensor): See there.
            pred_bboxes (Tensor): What the network predicts, (N, 4).
            img_shape (tuple[int, int]): See there.

        Returns:
            Tensor: Boxes (x1, y1, x2, y2) in pixels, (N, 4).
        """
        cell_sizes = bboxes[..., 2:] - bboxes[..., :2]
        centers = bboxes[..., :2] + pred_bboxes[..., :2] * cell_sizes
        sizes = pred_bboxes[..., 2:].square()
        sizes = sizes * sizes.new_tensor(img_shape[1::-1])
        return torch.cat([centers - sizes / 2, centers + sizes / 2], dim=-1)
