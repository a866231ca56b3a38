# Copyright (c) mmfba authors.
"""Targets that several heads share are assigned once."""

from typing import Any, Optional
from weakref import WeakKeyDictionary

from torch import nn

from mmfba.type_name import type_name

from .image_wise import samples_at_random

# Their result depends on priors and ground truth alone.
SHARED = ('MaxIoUAssigner',)


class SharedAssigner:
    """An assigner of mmdet that remembers what it assigned to an image.

    Heads that stand at every cut have the priors of the main head, and would
    each assign them to the same boxes again. What is remembered lives as
    long as the ground truth of the image.

    Args:
        assigner (Any): The assigner.
    """

    def __init__(self, assigner: Any) -> None:
        self.assigner = assigner
        self._results: WeakKeyDictionary = WeakKeyDictionary()

    def __reduce__(self):
        return type(self), (self.assigner,)  # a copy remembers nothing

    def assign(
        self,
        pred_instances: Any,
        gt_instances: Any,
        gt_instances_ignore: Optional[Any] = None,
    ) -> Any:
        """Assign priors to boxes.

        Args:
            pred_instances (InstanceData): The priors.
            gt_instances (InstanceData): The boxes of an image.
            gt_instances_ignore (InstanceData, optional): Boxes that are
                ignored. Defaults to None.

        Returns:
            AssignResult: What the assigner makes of them.
        """
        result = self._results.get(gt_instances)
        # Of one generator: another number only if the image has another size.
        if result is None or result.num_preds != len(pred_instances):
            result = self.assigner.assign(
                pred_instances, gt_instances, gt_instances_ignore
            )
            self._results[gt_instances] = result
        return result


def share_assigner(main: nn.Module, head: nn.Module) -> None:
    """Let a head with the priors of the main head assign together with it.

    Args:
        main (nn.Module): The main head.
        head (nn.Module): A copy of it with other weights.
    """
    assigner = getattr(main, 'assigner', None)
    # Samplers may add to what was assigned.
    if type_name(type(assigner)) in SHARED and not samples_at_random(main):
        main.assigner = assigner = SharedAssigner(assigner)
    if isinstance(assigner, SharedAssigner):
        head.assigner = assigner
