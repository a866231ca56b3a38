# Copyright (c) mmfba authors.
"""The loss of auxiliary anchor heads with few operators."""

from typing import Any, Dict, List, Optional, Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from mmfba.type_name import definer, type_name

from .anchor_targets import AnchorTargets
from .canvas import Canvas
from .normalisers import EPS
from .sigmoid_focal_sum import sigmoid_focal_sum

FOCAL = ('FocalLoss', 'mmfba.LeanSigmoidFocalLoss')


def anchor_loss(
    head: nn.Module,
    targets: AnchorTargets,
    data_samples: List[Any],
    features: Sequence[Tensor],
    rows: slice,
) -> Dict[str, Tensor]:
    """What ``loss()`` of mmdet's ``RetinaHead`` computes, up to the order of
    sums, with few operators: each convolution runs once, on a
    :class:`Canvas` of all levels, and the losses read what it returns in its
    own layout.

    Args:
        head (nn.Module): A head that :func:`why_not` has no objection to.
        targets (AnchorTargets): Those of its anchors.
        data_samples (list[DetDataSample]): All images of the batch.
        features (Sequence[Tensor]): A map (N, C, h, w) of each level.
        rows (slice): The images that they are of.

    Returns:
        dict[str, Tensor]: ``loss_cls`` and ``loss_bbox``, the images' part.
    """
    canvas = Canvas(tuple(tuple(f.shape[-2:]) for f in features))
    found = targets.of(features, data_samples)
    labels, weights, boxes, positive = found.on(canvas, rows)
    x = canvas.pack(features)
    logits = head.retina_cls(_tower(canvas, head.cls_convs, x))
    deltas = head.retina_reg(_tower(canvas, head.reg_convs, x))
    total = sigmoid_focal_sum(
        logits.reshape(len(labels), -1, labels.shape[1]),
        labels,
        weights,
        head.loss_cls.gamma,
        head.loss_cls.alpha,
        overwrite=True,
    )
    distance = _distance(head.loss_bbox, deltas.reshape(boxes.shape), boxes)
    divisor = found.avg_factor.to(total.dtype) + EPS
    return dict(
        loss_cls=total * (head.loss_cls.loss_weight / divisor),
        loss_bbox=(distance * positive).sum()
        * (head.loss_bbox.loss_weight / divisor),
    )


def _tower(canvas: Canvas, convs: nn.ModuleList, x: Tensor) -> Tensor:
    for module in convs:
        x = canvas.relu(module.conv(x))
    return x


def _distance(loss: nn.Module, boxes: Tensor, targets: Tensor) -> Tensor:
    if type_name(type(loss)) == 'L1Loss':
        return (boxes - targets).abs()
    return F.smooth_l1_loss(boxes, targets, reduction='none', beta=loss.beta)


def why_not(head: nn.Module) -> Optional[str]:
    """What hinders :func:`anchor_loss`, or None.

    Args:
        head (nn.Module): A head with targets of :class:`AnchorTargets`.
    """
    kind = type_name(type(head))
    if {definer(head, name) for name in ('forward', 'loss')} != {
        'mmdet.AnchorHead',
        'mmdet.BaseDenseHead',
    } or definer(head, 'forward_single') != 'mmdet.RetinaHead':
        return f'{kind} runs or computes its loss in a way of its own'
    if not all(map(_is_plain, (*head.cls_convs, *head.reg_convs))):
        return 'its convs are not those of 3x3 pixels and a ReLU alone'
    cls, box = head.loss_cls, head.loss_bbox
    if type_name(type(cls)) not in FOCAL or cls.activated:
        return f'loss_cls {type_name(type(cls))} is none of {FOCAL}'
    if type_name(type(box)) not in ('L1Loss', 'SmoothL1Loss'):
        return f'loss_bbox {type_name(type(box))} is neither L1 nor smooth L1'
    if {cls.reduction, box.reduction} != {'mean'}:
        return 'a loss of it is no mean'
    return None


def _is_plain(module: nn.Module) -> bool:
    conv = module.conv
    return (
        not module.with_norm
        and type(getattr(module, 'activate', None)) is nn.ReLU
        and type(conv) is nn.Conv2d
        and (conv.kernel_size, conv.stride) == ((3, 3), (1, 1))
        and (conv.padding, conv.dilation) == ((1, 1), (1, 1))
        and conv.padding_mode == 'zeros'
    )
