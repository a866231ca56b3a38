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
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from . import units as found
from .chain import Unit
from .replacement import as_one
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
    forward: Callable[..., Any],
    x: Any,
    modules: Iterable[nn.Module],
    *args: Any,
    **kwargs: Any,
) -> Any:
    """The same for any function.

    Args:
        forward (Callable): The function.
        x (Any): Its input, such as a tensor.
        modules (Iterable[nn.Module]): The modules that it runs.
        *args (Any): More of its arguments.
        **kwargs (Any): The same by name.

    Returns:
        Any: Its output.
    """
    if not torch.is_grad_enabled():
        return forward(x, *args, **kwargs)

    def contexts() -> Tuple[ContextManager, ContextManager]:
        return nullcontext(), frozen_statistics(modules)

    return checkpoint(
        forward, x, *args, use_reentrant=False, context_fn=contexts, **kwargs
    )


def recomputing(
    network: nn.Module, units: Sequence[found.Unit]
) -> Dict[nn.Module, Callable[..., Any]]:
    """Forwards with which units keep their input alone for the backward.

    Args:
        network (nn.Module): The network.
        units (Sequence[Unit]): Some of its units.

    Returns:
        dict[nn.Module, Callable]: See :func:`replaced`.
    """
    forwards: Dict[nn.Module, Callable[..., Any]] = {}
    for unit in units:
        for run in unit.runs:
            modules = [network.get_submodule(name) for name in run]
            forward = partial(_in_turn, [m.forward for m in modules])
            forwards.update(
                as_one(modules, partial(_recomputed, forward, modules))
            )
    return forwards


def _in_turn(
    forwards: Sequence[Callable[..., Any]], x: Any, *args: Any, **kwargs: Any
) -> Any:
    first, *others = forwards
    x = first(x, *args, **kwargs)
    for forward in others:
        x = forward(x)
    return x


def _recomputed(
    forward: Callable[..., Any],
    modules: Sequence[nn.Module],
    x: Any,
    *args: Any,
    **kwargs: Any,
) -> Any:
    return recomputed(forward, x, modules, *args, **kwargs)
