# Copyright (c) mmfba authors.
"""Boxes of a batch to anchors, as mmdet assigns and encodes them, but without
a value that the host reads, which a GPU would have to wait for."""

from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .canvas import Canvas

ELEMENTS = 2**22
"""Of a temporary tensor of the assignment, at most: 16 MiB."""


@dataclass(frozen=True)
class Targets:
    """What mmdet's ``AnchorHead.get_targets`` finds for a batch.

    Attributes:
        labels (Tensor): Classes (N, A) of A anchors; the number of classes
            is the background.
        label_weights (Tensor): (N, A).
        boxes (Tensor): Encoded boxes (N, A, 4), zero where not positive.
        positive (Tensor): Whether an anchor has a box, (N, A).
        avg_factor (Tensor): Positive anchors of the batch, a scalar; an image
            without any counts as one.
    """

    labels: Tensor
    label_weights: Tensor
    boxes: Tensor
    positive: Tensor
    avg_factor: Tensor
    _on_canvas: Dict[Any, Tuple[Tensor, ...]] = field(default_factory=dict)

    def on(
        self, canvas: Canvas, images: Optional[slice] = None
    ) -> Tuple[Tensor, ...]:
        """The targets of some images where a canvas has their anchors.

        Args:
            canvas (Canvas): Of P pixels, with B anchors each.
            images (slice, optional): Defaults to None, all N.

        Returns:
            tuple[Tensor]: Labels (N * B, P), their weights (N * B, 1, P),
            zero between the maps, boxes (N * B, 4, P) and, as numbers,
            whether there is a box (N * B, 1, P).
        """
        if canvas.sizes not in self._on_canvas:
            self._on_canvas[canvas.sizes] = self._laid_out(canvas)
        found = self._on_canvas[canvas.sizes]
        if images is None:
            return found
        each = len(found[0]) // len(self.labels)
        rows = slice(images.start * each, images.stop * each)
        return tuple(part[rows] for part in found)

    @property
    def nbytes(self) -> int:
        """int: Of all tensors, laid out ones included."""
        own = self.labels, self.label_weights, self.boxes, self.positive
        return sum(x.nbytes for x in sum(self._on_canvas.values(), own))

    def _laid_out(self, canvas: Canvas) -> Tuple[Tensor, ...]:
        pixels = sum(height * width for height, width in canvas.sizes)
        number = self.labels.shape[1] // pixels
        device, dtype = self.labels.device, self.boxes.dtype
        order = canvas.order(number, device)
        mask = canvas.mask(dtype, device).flatten()
        labels, weights, boxes, positive = (
            part.index_select(1, order).unflatten(1, (number, -1))
            for part in (
                self.labels,
                self.label_weights,
                self.boxes,
                self.positive,
            )
        )
        return (
            labels.flatten(0, 1),
            (weights * mask).flatten(0, 1)[:, None],
            boxes.transpose(2, 3).flatten(0, 1),
            (positive * mask).flatten(0, 1)[:, None],
        )


def padded(gts: List[Any]) -> Tuple[Tensor, Tensor]:
    """Boxes and labels of all images.

    Args:
        gts (list[InstanceData]): Those of each image.

    Returns:
        tuple[Tensor, Tensor]: Boxes (N, M, 4) and labels (N, M) of at least
        one box; where an image has fewer they are 0 and -1.
    """
    from mmdet.structures.bbox import get_box_tensor

    most = max(1, *map(len, gts))
    lacks = [most - len(gt) for gt in gts]
    boxes = [get_box_tensor(gt.bboxes) for gt in gts]
    boxes = [F.pad(b, (0, 0, 0, lack)) for b, lack in zip(boxes, lacks)]
    labels = [F.pad(gt.labels, (0, n), value=-1) for gt, n in zip(gts, lacks)]
    return torch.stack(boxes), torch.stack(labels)


def assign(
    assigner: Any,
    anchors: Tensor,
    boxes: Tensor,
    real: Tensor,
    inside: Optional[Tensor] = None,
) -> Tensor:
    """What mmdet's ``MaxIoUAssigner`` assigns, for a batch.

    Args:
        assigner (MaxIoUAssigner): Its thresholds.
        anchors (Tensor): (A, 4).
        boxes (Tensor): (N, M, 4).
        real (Tensor): Which boxes there are, (N, M); the others are zero.
        inside (Tensor, optional): Which anchors count, (N, A). Defaults to
            None, all.

    Returns:
        Tensor: (N, A): the number of an anchor's box, from 1, 0 for the
        background and -1 for what is ignored.
    """
    some = max(1, ELEMENTS // max(1, len(boxes) * len(anchors)))
    best = arg = last = None
    for start in range(0, boxes.shape[1], some):
        part = slice(start, start + some)
        overlaps = _overlaps(boxes[:, part], anchors)
        if inside is not None:
            overlaps.masked_fill_(~inside[:, None], -1)
        most, which = overlaps.max(1)
        which += start + 1
        if best is None:
            best, arg = most, which
        else:  # of equal ones the first
            arg = torch.where(most > best, which, arg)
            best = torch.maximum(best, most)
        if not assigner.match_low_quality:
            continue
        highest = overlaps.amax(2, keepdim=True)
        taken = (highest >= assigner.min_pos_iou) & real[:, part, None]
        numbers = torch.arange(
            start + 1, start + 1 + overlaps.shape[1], device=boxes.device
        )
        hit = (overlaps == highest).logical_and_(taken)
        most = torch.where(hit, numbers[:, None], 0).amax(1)
        last = most if last is None else torch.maximum(last, most)
    negative = (best >= 0) & (best < assigner.neg_iou_thr)
    assigned = torch.where(
        best >= assigner.pos_iou_thr, arg, negative.long().sub_(1)
    )
    if last is not None:
        assigned = torch.where(last > 0, last, assigned)
    return assigned if inside is None else torch.where(inside, assigned, -1)


def _overlaps(boxes: Tensor, anchors: Tensor) -> Tensor:
    """IoU (N, M, A) of boxes (N, M, 4) and anchors (A, 4)."""
    boxes = boxes[:, :, None]
    low = torch.maximum(boxes[..., :2], anchors[:, :2])
    size = torch.minimum(boxes[..., 2:], anchors[:, 2:]).sub_(low).clamp_(0)
    common = size[..., 0] * size[..., 1]
    areas = [
        (b[..., 2] - b[..., 0]) * (b[..., 3] - b[..., 1])
        for b in (boxes, anchors)
    ]
    union = (areas[0] + areas[1]).sub_(common).clamp_(min=1e-6)
    return common.div_(union)


def encode(coder: Any, anchors: Tensor, boxes: Tensor) -> Tensor:
    """What mmdet's ``DeltaXYWHBBoxCoder`` encodes, without a copy of its
    constants to the device.

    Args:
        coder (DeltaXYWHBBoxCoder): Its means and deviations.
        anchors (Tensor): (A, 4).
        boxes (Tensor): (N, A, 4).

    Returns:
        Tensor: (N, A, 4).
    """
    (start, end), (low, high) = anchors.split(2, -1), boxes.split(2, -1)
    size = end - start
    center = (low + high).mul_(0.5).sub_((start + end).mul_(0.5))
    deltas = [*center.div_(size).unbind(-1)]
    deltas += torch.log((high - low).div_(size)).unbind(-1)
    for delta, mean, std in zip(deltas, coder.means, coder.stds):
        delta.sub_(mean).div_(std)
    return torch.stack(deltas, -1)
