# Copyright (c) mmfba authors.
"""Exact forward and backward, some images at a time."""

from dataclasses import dataclass
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

import torch
from torch import Tensor

from .losses import add_losses, sum_losses, weigh_losses

Features = Tuple[Optional[Tensor], ...]


@dataclass(frozen=True)
class ImageWise:
    """The end of a network, in which no operation crosses images.

    Args:
        features (tuple[Tensor, optional]): What it reads, each (N, ...), live
            where it requires a gradient. None is handed through.
        loss (Callable): ``loss(features, rows)`` maps the features of some
            images, and the slice that says which, to a loss dict. Summed
            over slices it is the loss of the whole batch.
    """

    features: Features
    loss: Callable[[Features, slice], Dict[str, Any]]

    def weighed(self, weight: float) -> 'ImageWise':
        """The same with its loss multiplied by ``weight``."""

        def loss(features: Features, rows: slice) -> Dict[str, Any]:
            return weigh_losses(self.loss(features, rows), weight)

        return ImageWise(self.features, loss)


def backward_by_chunks(
    part: ImageWise,
    size: Optional[int],
    backward: Callable[[Tensor], None],
    inspect: Optional[
        Callable[[Sequence[Tensor], Sequence[Tensor]], None]
    ] = None,
) -> Dict[str, Tensor]:
    """Forward and backward of a loss, ``size`` images at a time.

    The activations of one chunk are freed before the next runs. The
    gradients equal those of the whole batch up to the order of sums: each
    parameter's is accumulated over the chunks, each live feature's is put
    together and propagated once, at the end.

    Args:
        part (ImageWise): What is computed so.
        size (int, optional): Images in a chunk; None for all.
        backward (Callable): Scales a scalar loss and propagates it. All
            backwards go through it, that of the live features too.
        inspect (Callable, optional): Called once, with the roots of the graph
            (the live features and the first chunk's loss) and the leaves
            that stand for the features. Defaults to None.

    Returns:
        dict[str, Tensor]: The loss terms of the whole batch, detached.
    """
    features = part.features
    live = [f for f in features if f is not None and f.requires_grad]
    grads = [torch.zeros_like(f) for f in live]
    num_images = next(len(f) for f in features if f is not None)
    logs: Dict[str, Tensor] = {}
    size = size or num_images
    for start in range(0, num_images, size):
        rows = slice(start, min(start + size, num_images))
        pieces = tuple(_piece(f, rows) for f in features)
        leaves = [p for p in pieces if p is not None and p.requires_grad]
        losses = part.loss(pieces, rows)
        total = sum_losses(losses)
        if inspect is not None and start == 0:
            inspect([*live, total], leaves)
        backward(total)
        _collect(grads, leaves, rows)
        add_losses(logs, losses)
        # Or they would be alive while the next chunk runs.
        del pieces, leaves, losses, total
    if live:
        backward(_HandOver.apply(grads, *live))
    return logs


class _HandOver(torch.autograd.Function):
    """A zero whose backward starts from given gradients, and keeps none.

    They are scaled already: by what the zero is scaled makes no difference.
    ``torch.autograd.backward`` would hold all until it ends, though the first
    operator of the backward is done with them.
    """

    @staticmethod
    def forward(ctx, grads: List[Tensor], *live: Tensor) -> Tensor:
        ctx.grads = grads
        return live[0].new_zeros(())

    @staticmethod
    def backward(ctx, _: Tensor) -> Tuple[Optional[Tensor], ...]:
        grads = tuple(ctx.grads)
        ctx.grads.clear()
        return (None, *grads)


def _piece(feature: Optional[Tensor], rows: slice) -> Optional[Tensor]:
    """A leaf: the backward of a slice would make a gradient of full size."""
    if feature is None:
        return None
    return feature.detach()[rows].requires_grad_(feature.requires_grad)


def _collect(
    grads: Sequence[Tensor], leaves: Sequence[Tensor], rows: slice
) -> None:
    for grad, leaf in zip(grads, leaves):
        if leaf.grad is not None:
            grad[rows] = leaf.grad
