# Copyright (c) mmfba authors.
"""The last local module alone, for some images at a time."""

from functools import partial
from typing import Any, Callable, Dict, Sequence

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

from .replacement import replaced


class _Reached(Exception):
    """The last cut: nothing behind it is to run yet."""


def run_to_last_cut(
    network: nn.Module,
    images: Tensor,
    modules: Sequence[str],
    crossing: Sequence[str],
) -> Callable[[Tensor, slice], Any]:
    """Run a network up to its last cut, and what follows it later.

    The network's own forward runs again for what follows; the modules before
    the cut then return what they made, and zeros of the same shape where
    nothing behind the cut reads it.

    Args:
        network (nn.Module): The network, in which nothing crosses images.
        images (Tensor): Images of the batch, (N, C, H, W).
        modules (Sequence[str]): Names of the modules before the cut, in
            order; with none nothing runs before.
        crossing (Sequence[str]): Those whose output is read behind it.

    Returns:
        Callable: ``rest(images, rows)`` maps some images, and the slice that
        says which, to what the network returns for them.
    """
    made: Dict[nn.Module, Any] = {}

    def keep(name: str, module: nn.Module, args: Any, out: Any) -> None:
        if name not in crossing:
            out = tree_map_only(
                Tensor, partial(torch.empty_like, device='meta'), out
            )
        made[module] = out
        if name == modules[-1]:
            raise _Reached

    hooks = [
        network.get_submodule(name).register_forward_hook(partial(keep, name))
        for name in modules
    ]
    try:
        if modules:
            network(images)
    except _Reached:
        pass
    finally:
        for hook in hooks:
            hook.remove()

    def rest(images: Tensor, rows: slice) -> Any:
        def part(tensor: Tensor) -> Tensor:
            if tensor.is_meta:
                return torch.zeros_like(tensor[rows], device=images.device)
            return tensor[rows]

        forwards = {
            module: partial(_returns, tree_map_only(Tensor, part, out))
            for module, out in made.items()
        }
        with replaced(forwards):
            return network(images)

    return rest


def _returns(value: Any, *args: Any, **kwargs: Any) -> Any:
    return value
