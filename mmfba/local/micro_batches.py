# Copyright (c) mmfba authors.
"""A local module runs some images at a time, the others all at once."""

from typing import Any, Callable, Dict, Tuple

from torch import Tensor

from .chunked import Features, ImageWise
from .feature_bank import FeatureBank
from .losses import add_losses, weigh_losses

Run = Callable[[Tensor, FeatureBank, slice], Tuple[Tensor, Dict[str, Any]]]


def forward_by_micro_batches(
    x: Tensor, count: int, bank: FeatureBank, run: Run
) -> Tuple[Tensor, Dict[str, Tensor]]:
    """Forward and backward of a local module, one micro-batch at a time.

    Gradients are accumulated over the micro-batches; the modules that follow
    see the whole batch, which accumulation of the whole network's gradients
    cannot do. Batch normalisation sees a micro-batch (ghost batch
    normalisation).

    Args:
        x (Tensor): Input of the module, (N, C, H, W), detached.
        count (int): Number of micro-batches.
        bank (FeatureBank): This step's features. What the module puts there
            is the whole batch's, detached.
        run (Callable): ``run(images, bank, rows)`` runs the module on some
            rows of ``x``, with their own bank, and its backward. It returns
            the module's output and the loss terms, their part of the batch's.

    Returns:
        tuple: The module's output, detached, and the loss terms of the batch.
    """
    size = -(-len(x) // count)
    whole: Dict[str, Tensor] = {}
    out, logs = x, {}
    for start in range(0, len(x), size):
        rows = slice(start, min(start + size, len(x)))
        piece = bank.piece(rows)
        before = {name: piece.get(name) for name in piece}
        y, losses = run(x[rows], piece, rows)
        out = _write(whole, '', y.detach(), rows, len(x))
        for name in piece:
            feature = piece.get(name)
            if feature is not before.get(name):  # the module put it there
                _write(whole, name, feature.detach(), rows, len(x))
        add_losses(logs, losses)
        piece.clear()
        del y, losses, before
    for name in whole:
        if name:
            bank.keep(name, whole[name])
    return out, logs


def part_of_batch(part: ImageWise, start: int, weight: float) -> ImageWise:
    """A weighed image-wise loss whose features begin at image ``start``."""

    def loss(features: Features, rows: slice) -> Dict[str, Any]:
        rows = slice(rows.start + start, rows.stop + start)
        return weigh_losses(part.loss(features, rows), weight)

    return ImageWise(part.features, loss)


def _write(
    whole: Dict[str, Tensor], name: str, piece: Tensor, rows: slice, num: int
) -> Tensor:
    if name not in whole:
        whole[name] = piece.new_empty((num, *piece.shape[1:]))
    whole[name][rows] = piece
    return whole[name]
