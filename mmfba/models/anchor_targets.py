# Copyright (c) mmfba authors.
"""Targets of anchors, for all heads of a step and without reading a value."""

from contextlib import ExitStack, contextmanager
from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple
from unittest.mock import patch

import torch
from torch import Tensor, nn

from mmfba.type_name import definer, type_name

from .anchor_assignment import Targets, assign, encode, padded
from .canvas import Sizes

BY_ANCHOR_HEAD = (
    'get_anchors',
    'get_targets',
    '_get_targets_single',
    'loss_by_feat',
)
"""What a head has to have from mmdet's AnchorHead."""
KINDS = dict(
    assigner='MaxIoUAssigner',
    sampler='PseudoSampler',
    bbox_coder='DeltaXYWHBBoxCoder',
)


class AnchorTargets:
    """Assigns the boxes of a batch to the anchors of a detector's heads.

    The results equal those of mmdet's ``AnchorHead`` bit for bit, but no
    value is read on the host, so that a GPU never waits for it. Heads with
    the same anchors are given the same targets in a step.

    Args:
        head (nn.Module): A head with these anchors; :func:`why_not` has no
            objection.
        heads (Sequence[nn.Module]): Heads with these anchors whose own
            ``loss()`` is to train on the targets. Defaults to ().
    """

    def __init__(
        self, head: nn.Module, heads: Sequence[nn.Module] = ()
    ) -> None:
        self.head = head
        self.heads = list(heads)
        self._samples: Optional[List[Any]] = None
        self._found: Dict[Sizes, Targets] = {}
        self._anchors: Dict[Any, Tensor] = {}

    @contextmanager
    def of_batch(self, data_samples: List[Any]) -> Iterator[None]:
        """Inside the context the targets of a batch are found once.

        ``heads`` train on them. With some of the images only, a head's loss
        is their part of the batch's: it is divided by the batch's positive
        anchors.

        Args:
            data_samples (list[DetDataSample]): All images of the batch.
        """
        self._samples = data_samples
        methods = dict(
            get_anchors=self._get_anchors, get_targets=self._get_targets
        )
        try:
            with ExitStack() as stack:
                for head in self.heads:
                    stack.enter_context(patch.multiple(head, **methods))
                yield
        finally:
            self._samples = None
            self._found.clear()

    def of(
        self, features: Sequence[Tensor], data_samples: List[Any]
    ) -> Targets:
        """The targets of a batch.

        Args:
            features (Sequence[Tensor]): A map of each level; of what images
                makes no difference.
            data_samples (list[DetDataSample]): All images of the batch.
        """
        sizes = tuple(tuple(f.shape[-2:]) for f in features)
        device = features[0].device
        if data_samples is not self._samples:
            return self._find(sizes, device, data_samples)
        return self._of_batch(sizes, device)

    def _of_batch(self, sizes: Sizes, device: torch.device) -> Targets:
        if sizes not in self._found:
            self._found[sizes] = self._find(sizes, device, self._samples)
        return self._found[sizes]

    @property
    def nbytes(self) -> int:
        """int: What is kept until the step ends."""
        return sum(targets.nbytes for targets in self._found.values())

    def anchors(self, sizes: Sizes, device: torch.device) -> Tensor:
        """All anchors (A, 4) of levels of these sizes; the last are kept."""
        key = sizes, device
        if key not in self._anchors:
            generator = self.head.prior_generator
            self._anchors = {
                key: torch.cat(generator.grid_priors(sizes, device=device))
            }
        return self._anchors[key]

    def _find(
        self, sizes: Sizes, device: torch.device, data_samples: List[Any]
    ) -> Targets:
        head, anchors = self.head, self.anchors(sizes, device)
        boxes, classes = padded([s.gt_instances for s in data_samples])
        shapes = [s.metainfo['pad_shape'][:2] for s in data_samples]
        inside = self._inside(sizes, device, shapes)
        assigned = assign(head.assigner, anchors, boxes, classes >= 0, inside)
        positive, index = assigned > 0, (assigned - 1).clamp_(min=0)
        weights = (assigned >= 0).to(anchors.dtype)
        if head.train_cfg['pos_weight'] > 0:
            weights.masked_fill_(positive, head.train_cfg['pos_weight'])
        boxes = boxes.gather(1, index[..., None].expand(-1, -1, 4))
        boxes = encode(head.bbox_coder, anchors, boxes)
        return Targets(
            torch.where(positive, classes.gather(1, index), head.num_classes),
            weights,
            torch.where(positive[..., None], boxes, 0.0),
            positive,
            positive.sum(1).clamp_(min=1).sum(),
        )

    def _inside(
        self, sizes: Sizes, device: torch.device, shapes: List[Any]
    ) -> Optional[Tensor]:
        """Which anchors (N, A) lie on an image; None for all."""
        generator = self.head.prior_generator
        if all(
            -(-height // stride[1]) >= rows and -(-width // stride[0]) >= cols
            for height, width in shapes
            for (rows, cols), stride in zip(sizes, generator.strides)
        ):
            return None
        flags = [generator.valid_flags(sizes, s, device) for s in shapes]
        return torch.stack([torch.cat(levels) for levels in flags])

    def _get_anchors(
        self, sizes: Sequence[Any], metas: List[Any], device: Any = 'cuda'
    ) -> Tuple[List[Any], List[Any]]:
        self._sizes = tuple(map(tuple, sizes))
        anchors = self.anchors(self._sizes, torch.device(device))
        return [self._levels(anchors)] * len(metas), [None] * len(metas)

    def _levels(self, values: Tensor, dim: int = 0) -> List[Tensor]:
        numbers = zip(self._sizes, self.head.prior_generator.num_base_priors)
        return list(values.split([h * w * n for (h, w), n in numbers], dim))

    def _get_targets(
        self,
        anchors: List[Any],
        valid: List[Any],
        gts: List[Any],
        metas: List[Any],
        *args: Any,
        **kwargs: Any,
    ) -> Tuple[Any, ...]:
        batch = [id(sample.gt_instances) for sample in self._samples or ()]
        asked = [id(gt) for gt in gts]
        starts = range(len(batch) - len(asked) + 1)
        parts = [slice(start, start + len(asked)) for start in starts]
        rows = next((r for r in parts if batch[r] == asked), None)
        device = anchors[0][0].device
        if rows is None:  # some other batch
            kind = type(self.head)
            lists = kind.get_anchors(self.head, self._sizes, metas, device)
            return kind.get_targets(
                self.head, *lists, gts, metas, *args, **kwargs
            )
        targets = self._of_batch(self._sizes, device)
        weights = targets.positive[rows, :, None].to(targets.boxes.dtype)
        return (
            self._levels(targets.labels[rows], 1),
            self._levels(targets.label_weights[rows], 1),
            self._levels(targets.boxes[rows], 1),
            self._levels(weights.expand(-1, -1, 4), 1),
            # Exact where the losses are computed in float64.
            targets.avg_factor.to(
                torch.promote_types(
                    next(self.head.parameters()).dtype, torch.float32
                )
            ),
        )

    def __reduce__(self) -> Tuple[type, Tuple[Any, ...]]:
        # A copy remembers nothing.
        return AnchorTargets, (self.head, self.heads)


def why_not(head: nn.Module) -> Optional[str]:
    """What hinders :class:`AnchorTargets`, or None.

    Args:
        head (nn.Module): A head of mmdet.
    """
    set_by_others = any(
        not isinstance(
            getattr(vars(head)[name], '__self__', None), AnchorTargets
        )
        for name in vars(head).keys() & BY_ANCHOR_HEAD
    )
    definers = {definer(head, name) for name in BY_ANCHOR_HEAD}
    if definers != {'mmdet.AnchorHead'} or set_by_others:
        return f'{type_name(type(head))} assigns in a way of its own'
    for key, kind in KINDS.items():
        own = type_name(type(getattr(head, key, None)))
        if own != kind:
            return f'{key} {own} is not {kind}'
    assigner = head.assigner
    if isinstance(head.prior_generator, nn.Module):
        return 'its anchors are learned'
    if head.prior_generator.use_box_type:
        return 'its anchors are boxes, not tensors'
    if head.reg_decoded_bbox:
        return 'reg_decoded_bbox is set'
    if head.train_cfg['allowed_border'] >= 0:
        return 'allowed_border leaves anchors out'
    if assigner.perm_repeat_gt_cfg or not assigner.gt_max_assign_all:
        return 'its assigner treats equal boxes in a way of its own'
    if assigner.ignore_iof_thr > 0:
        return 'its assigner leaves out what ignored boxes cover'
    if not isinstance(assigner.neg_iou_thr, float) or not (
        0 < assigner.neg_iou_thr
    ):
        return 'neg_iou_thr is no positive number'
    calculator = assigner.iou_calculator
    if type_name(type(calculator)) != 'BboxOverlaps2D' or calculator.dtype:
        return 'overlaps are computed in another way'
    return None
