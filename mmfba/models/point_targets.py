# Copyright (c) mmfba authors.
"""Targets of points, for all heads of a step and without reading a value."""

from contextlib import contextmanager
from functools import lru_cache
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

import torch
from torch import Tensor, nn

from .anchor_assignment import ELEMENTS, padded
from .canvas import Canvas, Sizes
from .normalisers import EPS

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
        weights (Tensor, optional): (N, 1, P), zero between the maps of a
            canvas; None if all points count.
        count (Tensor): Points of all processes' batches with a box, on
            average, a scalar.
        sum (Tensor): The same of the centerness.
    """

    labels: Tensor
    positive: Tensor
    distances: Tensor
    centerness: Tensor
    weights: Optional[Tensor]
    count: Tensor
    sum: Tensor

    def of(self, rows: slice) -> 'Points':
        """Those of some images."""
        parts = [None if p is None else p[rows] for p in self[:5]]
        return Points(*parts, self.count, self.sum)


class PointTargets:
    """Assigns the boxes of a batch to the points of dense heads as mmdet's
    ``FCOSHead`` does, but no value is read on the host. Heads with the same
    points are given the same targets in a step."""

    def __init__(self) -> None:
        self._samples: Optional[List[Any]] = None
        self._found: Dict[Any, Points] = {}

    @contextmanager
    def of_batch(self, data_samples: List[Any]) -> Iterator[None]:
        """Inside the context the targets of a batch are found once.

        Args:
            data_samples (list[DetDataSample]): All images of the batch.
        """
        self._samples = data_samples
        try:
            yield
        finally:
            self._samples = None
            self._found.clear()

    @property
    def nbytes(self) -> int:
        """int: What is kept until the step ends."""
        return sum(
            sum(part.nbytes for part in points[:4])
            for points in self._found.values()
        )

    def of(
        self,
        head: nn.Module,
        sizes: Sizes,
        like: Tensor,
        data_samples: List[Any],
    ) -> Points:
        """The targets of a batch.

        Args:
            head (FCOSHead): Whose they are.
            sizes (tuple[tuple[int, int]]): Height and width of each level.
            like (Tensor): Its dtype and device are those of the targets.
            data_samples (list[DetDataSample]): All images of the batch.
        """
        generator = head.prior_generator
        key = (
            sizes,
            tuple(generator.strides),
            generator.offset,
            tuple(map(tuple, head.regress_ranges)),
            like.dtype,
            like.device,
            getattr(head, 'on_canvas', False),
        )
        # What is not of the grid.
        full = (*key, head.num_classes, head.norm_on_bbox)
        if data_samples is not self._samples:
            return _find(head, key, data_samples)
        if full not in self._found:
            self._found[full] = _find(head, key, data_samples)
        return self._found[full]

    def __reduce__(self) -> Tuple[type, Tuple[()]]:
        # A copy remembers nothing.
        return PointTargets, ()


def _find(
    head: nn.Module, grid: Tuple[Any, ...], data_samples: List[Any]
) -> Points:
    from mmdet.utils import reduce_mean

    boxes, labels = padded([sample.gt_instances for sample in data_samples])
    points, starts, ends, strides, weights = _grid(*grid)
    if not head.norm_on_bbox:
        strides = torch.ones_like(strides)
    index, positive = smallest_box(points, starts, ends, boxes, labels >= 0)
    own = boxes.gather(1, index[..., None].expand(-1, -1, 4))
    distances = torch.cat([points - own[..., :2], own[..., 2:] - points], 2)
    distances = torch.where(
        positive[..., None], distances / strides[:, None], 1.0
    ).transpose(1, 2)
    low = torch.minimum(distances[:, :2], distances[:, 2:])
    high = torch.maximum(distances[:, :2], distances[:, 2:])
    numbers = positive.to(distances.dtype)
    centerness = (low / high).prod(1).sqrt() * numbers
    both = torch.stack([numbers.sum(), centerness.sum()])
    count, sum_ = reduce_mean(both).unbind()
    return Points(
        torch.where(positive, labels.gather(1, index), head.num_classes),
        numbers,
        distances,
        centerness,
        None if weights is None else weights.expand(len(labels), -1, -1),
        count.to(torch.float32).clamp(min=1.0) + EPS,
        sum_.clamp(min=1e-6) + EPS,
    )


@lru_cache(maxsize=16)
def _grid(
    sizes: Sizes,
    strides: Tuple[Tuple[int, int], ...],
    offset: float,
    ranges: Tuple[Tuple[float, float], ...],
    dtype: torch.dtype,
    device: torch.device,
    on_canvas: bool,
) -> Tuple[Optional[Tensor], ...]:
    """All points (P, 2), for each the ends of the range of distances that its
    level is for, and its stride, (P, ); and what they count, (1, 1, P)."""
    from mmdet.models.task_modules.prior_generators import MlvlPointGenerator

    levels = MlvlPointGenerator(strides, offset).grid_priors(
        sizes, dtype, device
    )
    points = torch.cat(levels)
    rest = [
        torch.cat([p.new_full((len(p),), v) for p, v in zip(levels, values)])
        for values in (*zip(*ranges), [stride for stride, _ in strides])
    ]
    if not on_canvas:
        return points, *rest, None
    canvas = Canvas(sizes)
    order = canvas.order(1, device)
    points, *rest = (x[order] for x in (points, *rest))
    mask = canvas.mask(dtype, device).flatten()
    rest[0][mask == 0] = 2 * INF  # no box is of the gaps
    return points, *rest, mask[None, None]


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
