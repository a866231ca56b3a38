# Copyright (c) mmfba authors.
from functools import lru_cache
from typing import Any, Sequence, Tuple

import torch
from torch import Tensor

Sizes = Tuple[Tuple[int, int], ...]


class Canvas:
    """All maps of a pyramid on one, so that a convolution runs once.

    The first map is above, the others side by side below it, a pixel apart:
    if what lies between them is zero, as :meth:`relu` leaves it, a
    convolution of 3x3 pixels sees around each map the zeros that it would be
    padded with.

    Args:
        sizes (tuple[tuple[int, int]]): Height and width of each map.
    """

    def __init__(self, sizes: Sizes) -> None:
        (height, width), *rest = self.sizes = sizes
        self.corners = [(0, 0)]
        start = 0
        for _, columns in rest:
            self.corners.append((height + 1, start))
            start += columns + 1
        if rest:
            height += 1 + max(rows for rows, _ in rest)
        self.shape = height, max(width, start - 1)

    def pack(self, features: Sequence[Tensor]) -> Tensor:
        """Put maps (N, C, h, w) of all levels on one (N, C, H, W)."""
        return _Pack.apply(self, *features)

    def relu(self, x: Tensor) -> Tensor:
        """ReLU in place, of the maps; what lies between them becomes zero."""
        if len(self.sizes) == 1:
            return torch.relu_(x)
        return _MaskedReLU.apply(x, self.mask(x.dtype, x.device))

    def mask(self, dtype: torch.dtype, device: torch.device) -> Tensor:
        """Where the maps are, (H, W)."""
        return _mask(self.sizes, dtype, device)

    def levels(self, dtype: torch.dtype, device: torch.device) -> Tensor:
        """Where each of the L maps is, (L, H, W)."""
        return _levels(self.sizes, dtype, device)

    def order(self, num_anchors: int, device: torch.device) -> Tensor:
        """Which anchor each place of the canvas has.

        Args:
            num_anchors (int): Anchors of a pixel.
            device (torch.device): Where.

        Returns:
            Tensor: (num_anchors * H * W), of the anchors in mmdet's order,
            level by level and pixel by pixel; any where no map is.
        """
        return _order(self.sizes, num_anchors, device)

    def views(self, x: Tensor) -> Tuple[Tensor, ...]:
        """The levels' parts of a canvas (N, C, H, W)."""
        return tuple(
            x[:, :, top : top + rows, left : left + columns]
            for (top, left), (rows, columns) in zip(self.corners, self.sizes)
        )


@lru_cache(maxsize=16)
def _mask(sizes: Sizes, dtype: torch.dtype, device: torch.device) -> Tensor:
    return _levels(sizes, dtype, device).sum(0)


@lru_cache(maxsize=16)
def _levels(sizes: Sizes, dtype: torch.dtype, device: torch.device) -> Tensor:
    canvas = Canvas(sizes)
    shape = len(sizes), *canvas.shape
    levels = torch.zeros(shape, dtype=dtype, device=device)
    for level, view in enumerate(canvas.views(levels[None])):
        view[:, level] = 1
    return levels


@lru_cache(maxsize=16)
def _order(sizes: Sizes, num_anchors: int, device: torch.device) -> Tensor:
    canvas, start = Canvas(sizes), 0
    pixels = torch.zeros(1, 1, *canvas.shape, dtype=torch.long, device=device)
    for view in canvas.views(pixels):
        end = start + view.numel()
        numbers = torch.arange(start, end, device=device)
        view.copy_(numbers.view_as(view))
        start = end
    anchors = torch.arange(num_anchors, device=device)[:, None]
    return (pixels.view(1, -1) * num_anchors + anchors).flatten()


class _Pack(torch.autograd.Function):
    @staticmethod
    def forward(ctx, canvas: Canvas, *features: Tensor) -> Tensor:
        ctx.canvas = canvas
        first = features[0]
        packed = first.new_zeros(*first.shape[:2], *canvas.shape)
        for view, feature in zip(canvas.views(packed), features):
            view.copy_(feature)
        return packed

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tuple[Any, ...]:
        return (None, *ctx.canvas.views(grad))


class _MaskedReLU(torch.autograd.Function):
    """In place, and only its output is kept."""

    @staticmethod
    def forward(ctx, x: Tensor, mask: Tensor) -> Tensor:
        x.relu_().mul_(mask)
        ctx.mark_dirty(x)
        ctx.save_for_backward(x)
        return x

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        return torch.ops.aten.threshold_backward(grad, x, 0), None
