# Copyright (c) mmfba authors.
from contextlib import nullcontext
from functools import partial
from typing import (
    Any,
    Callable,
    ContextManager,
    Dict,
    Iterable,
    Sequence,
    Tuple,
)

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from .replacement import as_one
from .statistics import frozen_statistics
from .units import Unit


def recomputed(
    forward: Callable[..., Any],
    modules: Iterable[nn.Module],
    x: Any,
    *args: Any,
    **kwargs: Any,
) -> Any:
    """What a function of ``x`` returns; it keeps its input alone for the
    backward.

    The backward runs the forward again, with the same random numbers; running
    statistics move once. Non-reentrant, so that parameters get their gradient
    although the input of a local module needs none.

    Args:
        forward (Callable): The function.
        modules (Iterable[nn.Module]): The modules that it runs.
        x (Any): Its input, such as a tensor.
        *args (Any): More of its arguments.
        **kwargs (Any): The same by name.
    """
    if not torch.is_grad_enabled():
        return forward(x, *args, **kwargs)

    def contexts() -> Tuple[ContextManager, ContextManager]:
        return nullcontext(), frozen_statistics(modules)

    return checkpoint(
        forward, x, *args, use_reentrant=False, context_fn=contexts, **kwargs
    )


def recomputing(
    network: nn.Module, units: Sequence[Unit]
) -> Dict[nn.Module, Callable[..., Any]]:
    """Forwards with which units of a network keep their input alone for the
    backward, see :func:`replaced`."""
    forwards: Dict[nn.Module, Callable[..., Any]] = {}
    for unit in units:
        # Between others a network may read sizes, or hand on arguments.
        layers = [
            type(network.get_submodule(name)).__module__.startswith('torch.')
            for run in unit.runs
            for name in run
        ]
        runs = unit.runs
        if unit.feature.tokens >= 0 or not all(layers):
            runs = [(name,) for run in runs for name in run]
        for run in runs:
            modules = [network.get_submodule(name) for name in run]
            forward = partial(_in_turn, [m.forward for m in modules])
            again = partial(recomputed, forward, modules)
            forwards.update(as_one(modules, again))
    return forwards


def _in_turn(
    forwards: Sequence[Callable[..., Any]], x: Any, *args: Any, **kwargs: Any
) -> Any:
    first, *others = forwards
    x = first(x, *args, **kwargs)
    for forward in others:
        x = forward(x)
    return x
