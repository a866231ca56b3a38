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
    although the input of a local module needs none.

    Args:
        unit (Unit): The unit.
        x (Tensor): Its input, (N, C, H, W).

    Returns:
        Tensor: Its output.
    """
    if unit.recomputes:
        return unit.forward(x)
    return recomputed(unit.forward, x, unit.modules)


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


def forward_blocks(
    blocks: Iterable[nn.Module], x: Tensor, recompute: bool
) -> Tensor:
    """Run blocks one after the other.

    Args:
        blocks (Iterable[nn.Module]): The blocks.
        x (Tensor): Input of the first.
        recompute (bool): Whether each is run again in the backward instead of
            keeping what it computed.

    Returns:
        Tensor: Output of the last.
    """
    for block in blocks:
        x = recomputed(block, x, [block]) if recompute else block(x)
    return x
