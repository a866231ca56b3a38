# Copyright (c) mmfba authors.
"""The loss of a dense head of points, without reading a value."""

from functools import lru_cache
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmfba.type_name import type_name

from .anchor_assignment import ELEMENTS, padded
from .normalisers import EPS
from .sigmoid_focal_sum import sigmoid_focal_sum

LOSSES = dict(
    loss_cls='mmfba.LeanSigmoidFocalLoss',
    loss_bbox='GIoULoss',
    loss_centerness='CrossEntropyLoss',
)


INF = 1e8
"""mmdet's: a box of this area at least is none."""


class Points(NamedTuple):
    """What the P points of N images are to predict.

    Attributes:
        labels (Tensor): Classes (N, P); the number of classes is the
            background.
        positive (Tensor): 1 where a point has a box, else 0, (N, P).
        distances (Tensor): To the left, upper, right and lower side of its
            box, (N, 4, P); 1 where there is none.
        centerness (Tensor): (N, P), zero where there is no box.
    """

    labels: Tensor
    positive: Tensor
    distances: Tensor
    centerness: Tensor


class PointLoss:
    """What ``loss()`` of mmdet's ``FCOSHead`` computes, up to the order of
    sums, with few operators: the losses see all levels at once, and no value
    is read on the host, so that a GPU never waits for it.

    Args:
        head (nn.Module): A head that :func:`is_point_head`.
        data_samples (list[DetDataSample]): All images of the batch.
    """

    def __init__(self, head: nn.Module, data_samples: List[Any]) -> None:
        self.head = head
        self.data_samples = data_samples
        self._found: Optional[Points] = None

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
        from mmdet.utils import reduce_mean

        head = self.head
        scores, boxes, centers = (
            torch.cat([level.flatten(2) for level in levels], 2)
            for levels in head(features)
        )
        wide = torch.promote_types(boxes.dtype, torch.float32)
        if self._found is None:
            sizes = [level.shape[-2:] for level in features]
            self._found = self._points(sizes, wide, boxes.device)
            both = self._found.positive.sum(), self._found.centerness.sum()
            # Of all processes at once.
            count, sum_ = reduce_mean(torch.stack(both)).unbind()
            self._count = count.to(torch.float32).clamp(min=1.0) + EPS
            self._sum = sum_.clamp(min=1e-6) + EPS
        found = Points(*(part[rows] for part in self._found))
        focal = sigmoid_focal_sum(
            scores,
            found.labels,
            None,
            head.loss_cls.gamma,
            head.loss_cls.alpha,
            overwrite=True,  # of the levels' copy
        )
        apart = 1 - giou(boxes.to(wide), found.distances)
        entropy = F.binary_cross_entropy_with_logits(
            centers[:, 0].to(wide),
            found.centerness,
            found.positive,
            reduction='sum',
        )
        sums = dict(
            loss_cls=focal / self._count,
            loss_bbox=(apart * found.centerness).sum() / self._sum,
            loss_centerness=entropy / self._count,
        )
        return {
            key: value * getattr(head, key).loss_weight
            for key, value in sums.items()
        }

    def _points(
        self, sizes: Sequence[Any], dtype: torch.dtype, device: torch.device
    ) -> Points:
        head = self.head
        gts = [sample.gt_instances for sample in self.data_samples]
        boxes, labels = padded(gts)
        generator = head.prior_generator
        points, starts, ends, strides = _grid(
            tuple(map(tuple, sizes)),
            tuple(generator.strides),
            generator.offset,
            tuple(map(tuple, head.regress_ranges)),
            dtype,
            device,
        )
        if not head.norm_on_bbox:
            strides = torch.ones_like(strides)
        index, positive = smallest_box(
            points, starts, ends, boxes, labels >= 0
        )
        own = boxes.gather(1, index[..., None].expand(-1, -1, 4))
        distances = torch.cat(
            [points - own[..., :2], own[..., 2:] - points], 2
        )
        distances = torch.where(
            positive[..., None], distances / strides[:, None], 1.0
        ).transpose(1, 2)
        low = torch.minimum(distances[:, :2], distances[:, 2:])
        high = torch.maximum(distances[:, :2], distances[:, 2:])
        numbers = positive.to(distances.dtype)
        return Points(
            torch.where(positive, labels.gather(1, index), head.num_classes),
            numbers,
            distances,
            (low / high).prod(1).sqrt() * numbers,
        )


@lru_cache(maxsize=16)
def _grid(
    sizes: Tuple[Tuple[int, int], ...],
    strides: Tuple[Tuple[int, int], ...],
    offset: float,
    ranges: Tuple[Tuple[float, float], ...],
    dtype: torch.dtype,
    device: torch.device,
) -> Tuple[Tensor, ...]:
    """All points (P, 2), and for each the ends of the range of distances that
    its level is for, and its stride, (P, )."""
    from mmdet.models.task_modules.prior_generators import MlvlPointGenerator

    levels = MlvlPointGenerator(strides, offset).grid_priors(
        sizes, dtype, device
    )
    return torch.cat(levels), *(
        torch.cat([p.new_full((len(p),), v) for p, v in zip(levels, values)])
        for values in (*zip(*ranges), [stride for stride, _ in strides])
    )


def smallest_box(
    points: Tensor,
    starts: Tensor,
    ends: Tensor,
    boxes: Tensor,
    real: Tensor,
) -> Tuple[Tensor, Tensor]:
    """The smallest of the boxes that a point lies in and that are of its
    level.

    Args:
        points (Tensor): (P, 2).
        starts (Tensor): (P, ). A box is of a point's level if the farthest of
            its sides is this far away at least,
        ends (Tensor): and this far at most, (P, ).
        boxes (Tensor): (N, M, 4).
        real (Tensor): Which boxes there are, (N, M).

    Returns:
        tuple[Tensor, Tensor]: The index of the box, and whether there is one,
        each (N, P).
    """
    width, height = (boxes[..., 2:] - boxes[..., :2]).unbind(-1)
    areas = (width * height).masked_fill_(~real, INF)
    some = max(1, ELEMENTS // max(1, len(boxes) * len(points) * 2))
    least = index = None
    for start in range(0, boxes.shape[1], some):
        part = slice(start, start + some)
        before = points - boxes[:, part, None, :2]
        after = boxes[:, part, None, 2:] - points
        inside = torch.minimum(before, after).amin(-1) > 0
        far = torch.maximum(before, after).amax(-1)
        inside &= (far >= starts) & (far <= ends)
        area = torch.where(inside, areas[:, part, None], INF)
        lowest, which = area.min(1)
        if least is None:
            least, index = lowest, which
        else:  # of equal ones the first
            index = torch.where(lowest < least, which + start, index)
            least = torch.minimum(least, lowest)
    return index, least < INF


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
        type_name(type(head)) == 'FCOSHead'
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
