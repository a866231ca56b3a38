# Copyright (c) mmfba authors.
from contextlib import nullcontext
from typing import Callable, ContextManager, Iterable, Tuple

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from .chain import Unit
from .statistics import frozen_statistics


def forward_recomputed(unit: Unit, x: Tensor) -> Tensor:
    """Forward of a unit that keeps its input alone for the backward.

    The backward runs the forward again, with the same random numbers; running
    statistics move once. Non-reentrant, so that parameters get their gradient
    although the input of a local module needs none. The two paths of a
    residual block are recomputed one after the other: what is alive in the
    backward is that of one of them.

    Args:
        unit (Unit): The unit.
        x (Tensor): Its input, (N, C, H, W).

    Returns:
        Tensor: Its output.
    """
    if unit.recomputes:
        return unit.forward(x)
    parts = unit.residual
    if parts is None or not torch.is_grad_enabled():
        return recomputed(unit.forward, x, unit.modules)
    out = recomputed(parts.branch, x, unit.modules)
    if parts.shortcut is not None:
        out += recomputed(parts.shortcut, x, unit.modules)
    else:
        out += x
    return parts.activation(out)


def recomputed(
    forward: Callable[[Tensor], Tensor],
    x: Tensor,
    modules: Iterable[nn.Module],
) -> Tensor:
    """The same for any function of one tensor.

    Args:
        forward (Callable): The function.
        x (Tensor): Its input.
        modules (Iterable[nn.Module]): The modules that it runs.

    Returns:
        Tensor: Its output.
    """
    if not torch.is_grad_enabled():
        return forward(x)

    def contexts() -> Tuple[ContextManager, ContextManager]:
        return nullcontext(), frozen_statistics(modules)

    return checkpoint(forward, x, use_reentrant=False, context_fn=contexts)
