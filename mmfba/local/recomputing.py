# Copyright (c) mmfba authors.
from contextlib import nullcontext
from typing import Any, Callable, Dict, Iterable, Sequence, Tuple

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from .replacement import as_one
from .statistics import frozen_statistics
from .units import Unit

Forward = Callable[..., Any]


def recomputing(
    network: nn.Module,
    units: Iterable[Unit],
    in_parts: Callable[[nn.Module], Forward],
) -> Dict[nn.Module, Forward]:
    """Forwards of units that keep their input alone for the backward.

    The backward runs the forward again, with the same random numbers; running
    statistics move once. Non-reentrant, so that parameters get their gradient
    although the input of a local module needs none.

    Args:
        network (nn.Module): The network.
        units (Iterable[Unit]): Its units.
        in_parts (Callable): Maps a module to a forward of it that is
            recomputed; :func:`recomputed` of it, or of its parts one after
            the other, so that what is alive in the backward is that of one.

    Returns:
        dict[nn.Module, Callable]: See :func:`replaced`.
    """
    forwards: Dict[nn.Module, Forward] = {}
    for unit in units:
        for run in unit.runs:
            modules = [network.get_submodule(name) for name in run]
            if len(modules) == 1:
                forwards[modules[0]] = in_parts(modules[0])
            else:
                forward = recomputed(_one_after_the_other(modules), modules)
                forwards.update(as_one(modules, forward))
    return forwards


def recomputed(forward: Forward, modules: Iterable[nn.Module]) -> Forward:
    """The same function, run again in the backward.

    Args:
        forward (Callable): The function.
        modules (Iterable[nn.Module]): The modules that it runs.
    """
    modules = tuple(modules)

    def contexts() -> Tuple[Any, Any]:
        return nullcontext(), frozen_statistics(modules)

    def run(*args: Any, **kwargs: Any) -> Any:
        if not torch.is_grad_enabled():
            return forward(*args, **kwargs)
        return checkpoint(
            forward, *args, use_reentrant=False, context_fn=contexts, **kwargs
        )

    return run


def _one_after_the_other(modules: Sequence[nn.Module]) -> Forward:
    forwards = [module.forward for module in modules]

    def forward(x: Any) -> Any:
        for step in forwards:
            x = step(x)
        return x

    return forward
