# Copyright (c) mmfba authors.
from contextlib import nullcontext
from typing import ContextManager, Tuple

import torch
from torch import Tensor
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
    if not torch.is_grad_enabled():
        return unit.forward(x)

    def contexts() -> Tuple[ContextManager, ContextManager]:
        return nullcontext(), frozen_statistics([unit])

    return checkpoint(
        unit.forward, x, use_reentrant=False, context_fn=contexts
    )
