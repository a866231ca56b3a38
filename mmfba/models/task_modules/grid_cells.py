# Copyright (c) mmfba authors.
from typing import Tuple

import torch
from torch import Tensor


def grid_cells(
    size: Tuple[int, int], img_shape: Tuple[int, int], like: Tensor
) -> Tensor:
    """The cells of a grid that covers an image.

    Args:
        size (tuple[int, int]): Rows and columns.
        img_shape (tuple[int, int]): Height and width of the image in pixels.
        like (Tensor): Gives dtype and device.

    Returns:
        Tensor: (x1, y1, x2, y2) of each cell in pixels, row by row,
        (rows * columns, 4).
    """
    y, x = (
        torch.arange(n + 1, device=like.device).to(like) * (length / n)
        for n, length in zip(size, img_shape)
    )
    corners = [
        *torch.meshgrid(x[:-1], y[:-1], indexing='xy'),
        *torch.meshgrid(x[1:], y[1:], indexing='xy'),
    ]
    return torch.stack(corners, dim=-1).flatten(0, 1)
