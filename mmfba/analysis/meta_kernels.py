# Copyright (c) mmfba authors.
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partialmethod
from importlib import import_module
from types import SimpleNamespace
from typing import Any, Callable, Optional
from unittest.mock import patch

from torch import Tensor


@contextmanager
def meta_kernels() -> Iterator[None]:
    """Let mmdet's focal loss allocate what it does on a GPU.

    There it is mmcv's kernel, which needs the logits, the labels, the loss
    and the gradient; elsewhere it is ten operators in Python.
    """
    losses = sys.modules.get('mmdet.models.losses')
    if losses is None:
        yield
        return
    # Of the class: what is set on a loss, a hook would have changed.
    cls, kernels = losses.FocalLoss, import_module('mmcv.ops.focal_loss')
    forward = partialmethod(_forward, cls.forward)
    with patch.object(cls, 'forward', forward):
        with patch.object(kernels, 'ext_module', KERNELS):
            yield


def nothing(*args: Any, **kwargs: Any) -> None:
    """What a kernel fills has been allocated by its caller."""


KERNELS = SimpleNamespace(
    roi_align_forward=nothing,
    roi_align_backward=nothing,
    sigmoid_focal_loss_forward=nothing,
    sigmoid_focal_loss_backward=nothing,
)


def _forward(
    loss: Any,
    plain: Callable[..., Tensor],
    pred: Tensor,
    target: Tensor,
    weight: Optional[Tensor] = None,
    avg_factor: Any = None,
    reduction_override: Optional[str] = None,
) -> Tensor:
    """As mmdet's, where tensors are on a GPU."""
    from mmdet.models.losses.focal_loss import sigmoid_focal_loss

    if loss.activated or pred.dim() == target.dim():
        return plain(
            loss, pred, target, weight, avg_factor, reduction_override
        )
    return loss.loss_weight * sigmoid_focal_loss(
        pred,
        target,
        weight,
        loss.gamma,
        loss.alpha,
        reduction_override or loss.reduction,
        avg_factor,
    )
