# Copyright (c) mmfba authors.
"""Two-stage detectors of mmdet on the meta device, where nothing has values.

Proposals, samples and pooled features have the sizes that they have in
training; which they are makes no difference to memory and FLOPs.
"""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from importlib import import_module
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn

from .meta_kernels import KERNELS


@contextmanager
def meta_rois(model: nn.Module) -> Iterator[None]:
    """Let region proposals and RoI heads of a detector run on meta."""
    from mmdet.models import BaseRoIExtractor, RPNHead

    with ExitStack() as stack:
        replace = partial(_replace, stack)
        replace(import_module('mmcv.ops.roi_align'), 'ext_module', KERNELS)
        for part in model.modules():
            if isinstance(part, RPNHead):
                replace(part, '_bbox_post_process', _proposals)
            if isinstance(part, BaseRoIExtractor):
                replace(part, 'map_roi_levels', _levels)
            for assigner in _each(part, 'bbox_assigner'):
                replace(assigner, 'assign', _assign)
            for sampler in _each(part, 'bbox_sampler'):
                replace(sampler, 'sample', partial(_sample, sampler))
        yield


def _replace(stack: ExitStack, owner: Any, name: str, value: Any) -> None:
    stack.enter_context(patch.object(owner, name, value))


def _each(part: nn.Module, name: str) -> Iterable[Any]:
    """The parts of a RoI head, of which a cascade has several."""
    found = getattr(part, name, None)
    if found is None:
        return ()
    return found if isinstance(found, (list, tuple)) else (found,)


def _proposals(results: Any, cfg: Any, **kwargs: Any) -> Any:
    """As many as are kept at most, which is usual in training."""
    results.bboxes = results.pop('bboxes')
    return results[: cfg.max_per_img]


def _levels(rois: Tensor, num_levels: int) -> Tensor:
    """As many RoIs on each level, with values."""
    return torch.arange(len(rois)) % num_levels


def _assign(priors: Any, gt_instances: Any, *args: Any) -> Any:
    from mmdet.models.task_modules import AssignResult

    boxes = priors.priors
    count = boxes.new_empty(len(boxes), dtype=torch.long)
    return AssignResult(
        len(gt_instances), count, boxes.new_empty(len(boxes)), labels=count
    )


def _sample(
    sampler: Any, assigned: Any, priors: Any, gt_instances: Any, **kwargs: Any
) -> Any:
    """As many positive and negative ones as the sampler draws at most."""
    from mmdet.models.task_modules import SamplingResult

    boxes, device = priors.priors, priors.priors.device
    num = min(sampler.num, len(boxes))
    split = int(num * sampler.pos_fraction)
    return SamplingResult(
        pos_inds=torch.arange(split, device=device),
        neg_inds=torch.arange(num - split, device=device),
        priors=boxes,
        gt_bboxes=gt_instances.bboxes,
        assign_result=assigned,
        gt_flags=boxes.new_zeros(len(boxes), dtype=torch.uint8),
    )
