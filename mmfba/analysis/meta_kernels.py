# Copyright (c) mmfba authors.
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from importlib import import_module
from types import SimpleNamespace
from typing import Any, Optional
from unittest.mock import patch

from torch import Tensor, nn

from mmfba.models.image_wise import definer


@contextmanager
def meta_kernels(model: nn.Module) -> Iterator[None]:
    """Let mmdet's focal loss allocate what it does on a GPU.

    There it is mmcv's kernel, which needs the logits, the labels, the loss
    and the gradient; elsewhere it is ten operators in Python.

    Args:
        model (nn.Module): The model, on the meta device.
    """
    with ExitStack() as stack:
        for part in model.modules():
            if definer(part, 'forward') == 'FocalLoss':
                forward = partial(_forward, part)
                stack.enter_context(patch.object(part, 'forward', forward))
                module = import_module('mmcv.ops.focal_loss')
                stack.enter_context(
                    patch.object(module, 'ext_module', KERNELS)
                )
        yield


def nothing(*args: Any, **kwargs: Any) -> None:
    """What a kernel fills has been allocated by its caller."""


KERNELS = SimpleNamespace(
    sigmoid_focal_loss_forward=nothing, sigmoid_focal_loss_backward=nothing
)


def _forward(
    loss: Any,
    pred: Tensor,
    target: Tensor,
    weight: Optional[Tensor] = None,
    avg_factor: Any = None,
    reduction_override: Optional[str] = None,
) -> Tensor:
    """As mmdet's, where tensors are on a GPU."""
    from mmdet.models.losses.focal_loss import sigmoid_focal_loss

    if loss.activated or pred.dim() == target.dim():
        return type(loss).forward(
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
