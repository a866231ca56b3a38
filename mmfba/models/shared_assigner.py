# Copyright (c) mmfba authors.
"""Targets that several heads share are assigned once a step."""

from contextlib import contextmanager
from typing import Any, Iterator, Optional
from unittest.mock import patch

from torch import nn

from mmfba.type_name import type_name

from .image_wise import definer, samples_at_random

# Their result depends on priors and ground truth alone.
SHARED = ('MaxIoUAssigner',)
# Written by mmdet's AnchorHead, they take priors from its generator, and
# what they predict has no part in the targets.
BY_ANCHOR_HEAD = (
    'get_anchors',
    'get_targets',
    '_get_targets_single',
    'loss_by_feat',
)


class _AssignOnce:
    """``assign`` of an assigner that remembers what it gave for an image."""

    def __init__(self, assigner: Any) -> None:
        self.assigner = assigner
        self._assign = assigner.assign
        self._results: dict = {}

    def __reduce__(self):
        # In the middle of a step too, a copy of the assigner is a plain one.
        return getattr, (self.assigner, 'assign')

    def __call__(
        self,
        pred_instances: Any,
        gt_instances: Any,
        gt_instances_ignore: Optional[Any] = None,
    ) -> Any:
        # Of one generator: another number only if the image has another size.
        key = gt_instances, gt_instances_ignore, len(pred_instances)
        if key not in self._results:
            self._results[key] = self._assign(
                pred_instances, gt_instances, gt_instances_ignore
            )
        return self._results[key]


@contextmanager
def assigned_once(head: nn.Module) -> Iterator[None]:
    """Assign the priors of each image once inside the context.

    It is one step's: nothing is remembered before or after it.

    Args:
        head (nn.Module): The main head. Those with its assigner, see
            :func:`share_assigner`, get what the first of them assigned.
    """
    if not _can_share(head):
        yield
        return
    once = _AssignOnce(head.assigner)
    with patch.object(head.assigner, 'assign', once):
        yield


def share_assigner(main: nn.Module, head: nn.Module) -> None:
    """Give a head the assigner of the main head if it has its priors too.

    Args:
        main (nn.Module): The main head.
        head (nn.Module): A copy of it with other weights.
    """
    if _can_share(main):
        head.assigner = main.assigner


def _can_share(head: nn.Module) -> bool:
    """Whether copies of a head with other weights have the same targets."""
    assigner = getattr(head, 'assigner', None)
    return (
        type_name(type(assigner)) in SHARED
        # It would move boxes at random.
        and not getattr(assigner, 'perm_repeat_gt_cfg', None)
        # Samplers may add to what was assigned.
        and not samples_at_random(head)
        and {definer(head, name) for name in BY_ANCHOR_HEAD} == {'AnchorHead'}
        # It would have weights, each head its own.
        and not isinstance(head.prior_generator, nn.Module)
    )
