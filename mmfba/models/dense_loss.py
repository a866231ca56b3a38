# Copyright (c) mmfba authors.
"""The loss of a dense head of mmdet, in the way of fewest operators."""

from functools import partial
from typing import Any, Callable, Dict, List, Optional, Union

from torch import nn

from .anchor_loss import anchor_loss, why_not
from .anchor_targets import AnchorTargets
from .anchor_targets import why_not as why_no_targets
from .image_wise import ImageWiseHeadLoss
from .point_loss import PointLoss, is_point_head
from .point_targets import PointTargets

Found = Union[AnchorTargets, PointTargets]


def targets_of(
    head: nn.Module,
    main: Optional[AnchorTargets],
    points: Optional[PointTargets] = None,
) -> Optional[Found]:
    """Where an auxiliary head finds its targets.

    Args:
        head (nn.Module): The head; one with the main head's assigner has its
            anchors, too.
        main (AnchorTargets, optional): The main head's.
        points (PointTargets, optional): Those of all heads of points.

    Returns:
        AnchorTargets | PointTargets: What :func:`dense_loss` takes; None if
        only the head itself knows its targets.
    """
    if is_point_head(head):
        return points
    assigner = getattr(head, 'assigner', None)
    if main is not None and assigner is main.head.assigner:
        if head is not main.head and why_not(head):
            main.heads.append(head)
        return main
    if why_no_targets(head) or why_not(head):
        return None
    return AnchorTargets(head)


def dense_loss(
    head: nn.Module, targets: Optional[Found], data_samples: List[Any]
) -> Callable[..., Dict[str, Any]]:
    """The loss of a head of mmdet, also of some images.

    Args:
        head (nn.Module): The head.
        targets (AnchorTargets | PointTargets, optional): What
            :func:`targets_of` returned.
        data_samples (list[DetDataSample]): All images of the batch.

    Returns:
        Callable: ``loss(features, rows)`` maps a map of each level, and the
        slice of the batch that they are of, to the images' part of the loss.
    """
    # Hooks change heads, so that all of it is asked anew.
    if is_point_head(head):
        points = targets if isinstance(targets, PointTargets) else None
        return PointLoss(head, data_samples, points)
    own = (
        not isinstance(targets, AnchorTargets)
        or head.assigner is not targets.head.assigner
    )
    if own or why_no_targets(targets.head):
        return ImageWiseHeadLoss(head, data_samples)
    if head in targets.heads:
        return lambda features, rows: head.loss(features, data_samples[rows])
    if why_not(head):
        return ImageWiseHeadLoss(head, data_samples)
    return partial(anchor_loss, head, targets, data_samples)
