# Copyright (c) mmfba authors.
"""What YOLOv1 is trained to predict: section 2 of `You Only Look Once
<https://arxiv.org/abs/1506.02640>`_."""

from typing import Tuple

import torch
from mmdet.structures.bbox import bbox_overlaps
from torch import Tensor


def encode_boxes(
    cells: Tensor, boxes: Tensor, img_shape: Tuple[int, int]
) -> Tensor:
    r"""Boxes as YOLOv1 predicts them: :math:`(x, y, \sqrt w, \sqrt h)`.

    The center (x, y) is relative to the grid cell, 0 to 1 within it; width
    and height are relative to the whole image.

    Args:
        cells (Tensor): Grid cells (x1, y1, x2, y2) in pixels, (N, 4).
        boxes (Tensor): A box for each, in the same form.
        img_shape (tuple[int, int]): Height and width of the image in pixels.
    """
    centers = (boxes[..., :2] + boxes[..., 2:]) / 2
    offsets = (centers - cells[..., :2]) / (cells[..., 2:] - cells[..., :2])
    sizes = boxes[..., 2:] - boxes[..., :2]
    sizes = sizes / sizes.new_tensor(img_shape[1::-1])
    return torch.cat([offsets, sizes.sqrt()], dim=-1)


def decode_boxes(
    cells: Tensor, codes: Tensor, img_shape: Tuple[int, int]
) -> Tensor:
    """The inverse of :func:`encode_boxes`."""
    cell_sizes = cells[..., 2:] - cells[..., :2]
    centers = cells[..., :2] + codes[..., :2] * cell_sizes
    sizes = codes[..., 2:].square()
    sizes = sizes * sizes.new_tensor(img_shape[1::-1])
    return torch.cat([centers - sizes / 2, centers + sizes / 2], dim=-1)


def find_responsible(
    cells: Tensor, boxes: Tensor, objects: Tensor
) -> Tuple[Tensor, Tensor]:
    """Find the predictor that is responsible for each object of an image.

    The grid cell that the center of an object falls into detects it; of the
    cell's predictors the one whose box has the highest IoU with the object is
    responsible for it. A cell predicts one set of class probabilities: of
    several objects that fall into it the first is taken.

    Args:
        cells (Tensor): The grid cell of each predictor, in pixels, (N, 4).
        boxes (Tensor): The box that it predicts, in pixels, (N, 4).
        objects (Tensor): Boxes of the objects, (M, 4).

    Returns:
        tuple[Tensor, Tensor]: For each predictor the index of its object,
        from 1, or 0, and the IoU with it.
    """
    if len(objects) == 0:
        none = cells.new_zeros(len(cells), dtype=torch.long)
        return none, boxes.new_zeros(len(cells))
    # Dense (N, M), so that nothing waits for values of the device.
    centers = ((objects[:, :2] + objects[:, 2:]) / 2).to(cells)
    inside = (cells[:, None, :2] <= centers) & (centers < cells[:, None, 2:])
    inside = inside.all(dim=-1)
    detects = inside & (inside.cumsum(dim=1) == 1)
    ious = bbox_overlaps(boxes, objects.to(boxes))
    best = ious.masked_fill(~detects, -1).argmax(dim=0)
    responsible = torch.zeros_like(detects).scatter(0, best[None], True)
    responsible &= detects
    numbers = torch.arange(1, len(objects) + 1, device=cells.device)
    return (responsible * numbers).sum(dim=1), (responsible * ious).sum(dim=1)
