# Copyright (c) mmfba authors.
"""The loss of a dense head of points, without reading a value."""

from typing import Any, Dict, List, Optional, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmfba.type_name import type_name

from .point_targets import PointTargets
from .sigmoid_focal_sum import sigmoid_focal_sum

HEADS = ('FCOSHead', 'mmfba.CanvasFCOSHead')
LOSSES = dict(
    loss_cls='mmfba.LeanSigmoidFocalLoss',
    loss_bbox='GIoULoss',
    loss_centerness='CrossEntropyLoss',
)


class PointLoss:
    """What ``loss()`` of mmdet's ``FCOSHead`` computes, up to the order of
    sums, with few operators: the losses see all levels at once, and no value
    is read on the host, so that a GPU never waits for it.

    Args:
        head (nn.Module): A head that :func:`is_point_head`.
        data_samples (list[DetDataSample]): All images of the batch.
        targets (PointTargets, optional): What finds the targets. Defaults to
            None, one of its own.
    """

    def __init__(
        self,
        head: nn.Module,
        data_samples: List[Any],
        targets: Optional[PointTargets] = None,
    ) -> None:
        self.head = head
        self.data_samples = data_samples
        self.targets = targets or PointTargets()
        self._found: Any = None

    def __call__(
        self, features: Sequence[Tensor], rows: slice
    ) -> Dict[str, Tensor]:
        """Compute the loss of some images.

        Args:
            features (Sequence[Tensor]): A map (N, C, h, w) of each level.
            rows (slice): The images that they are of.

        Returns:
            dict[str, Tensor]: Their part of the batch's losses.
        """
        head = self.head
        scores, boxes, centers = map(_flat, head(features))
        boxes = boxes.to(torch.promote_types(boxes.dtype, torch.float32))
        if self._found is None:
            sizes = tuple(tuple(f.shape[-2:]) for f in features)
            self._found = self.targets.of(
                head, sizes, boxes, self.data_samples
            )
        found = self._found.of(rows)
        focal = sigmoid_focal_sum(
            scores,
            found.labels,
            found.weights,
            head.loss_cls.gamma,
            head.loss_cls.alpha,
            overwrite=True,
        )
        apart = 1 - giou(boxes, found.distances)
        entropy = F.binary_cross_entropy_with_logits(
            centers[:, 0].to(boxes.dtype),
            found.centerness,
            found.positive,
            reduction='sum',
        )
        sums = dict(
            loss_cls=focal / found.count,
            loss_bbox=(apart * found.centerness).sum() / found.sum,
            loss_centerness=entropy / found.count,
        )
        return {
            key: value * getattr(head, key).loss_weight
            for key, value in sums.items()
        }


def _flat(maps: Sequence[Tensor]) -> Tensor:
    """Maps (N, C, h, w) of all levels, or of a canvas, as one (N, C, P)."""
    flat = [level.flatten(2) for level in maps]
    return torch.cat(flat, 2) if len(flat) > 1 else flat[0]


def giou(boxes: Tensor, others: Tensor) -> Tensor:
    """GIoU (N, P) of boxes around the same points, as distances to their
    sides, (N, 4, P)."""

    def area(distances: Tensor) -> Tensor:
        width, height = (distances[:, :2] + distances[:, 2:]).unbind(1)
        return width * height

    common = area(torch.minimum(boxes, others))
    union = (area(boxes) + area(others) - common).clamp(min=1e-6)
    hull = area(torch.maximum(boxes, others)).clamp(min=1e-6)
    return common / union - (hull - union) / hull


def is_point_head(head: nn.Module) -> bool:
    """Whether :class:`PointLoss` computes a head's loss.

    Args:
        head (nn.Module): A head of mmdet.
    """
    return (
        type_name(type(head)) in HEADS
        and not head.center_sampling
        and all(
            type_name(type(getattr(head, key))) == kind
            and getattr(head, key).reduction == 'mean'
            for key, kind in LOSSES.items()
        )
        and head.loss_bbox.eps == 1e-6
        and head.loss_centerness.use_sigmoid
        and head.loss_centerness.class_weight is None
    )
