# Copyright (c) mmfba authors.
"""The last local module alone, for some images at a time."""

from contextlib import ExitStack, suppress
from functools import partial
from typing import Any, Callable, Dict, Sequence

from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

from .replacement import replaced


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
        # One of them may be made inside the module.
        crosses = any(f'{n}.'.startswith(f'{name}.') for n in crossing)
        keeps = Tensor.detach if crosses else _Seen
        made[module] = tree_map_only(Tensor, keeps, out)

    with ExitStack() as hooks:
        for name in modules:
            # Before all others, which may hand something else on.
            hook = network.get_submodule(name).register_forward_hook(
                partial(keep, name), prepend=True
            )
            hooks.callback(hook.remove)
        if modules:
            last = network.get_submodule(modules[-1])
            hooks.callback(last.register_forward_hook(_stop).remove)
            with suppress(_Reached):
                network(images)

    def rest(images: Tensor, rows: slice) -> Any:
        def part(tensor: Tensor) -> Tensor:
            return tensor[rows]

        def zeros(seen: _Seen) -> Tensor:
            shape = (len(images), *seen.shape[1:])
            return images.new_zeros(shape, dtype=seen.dtype)

        def again(out: Any, *args: Any, **kwargs: Any) -> Any:
            out = tree_map_only(Tensor, part, out)
            return tree_map_only(_Seen, zeros, out)

        forwards = {
            module: partial(again, out) for module, out in made.items()
        }
        with replaced(forwards):
            return network(images)

    return rest


class _Reached(Exception):
    """The last cut: nothing behind it is to run yet."""


def _stop(*_: Any) -> None:
    raise _Reached


class _Seen:
    """What is kept of a tensor that nothing behind the cut reads."""

    def __init__(self, tensor: Tensor) -> None:
        self.shape, self.dtype = tensor.shape, tensor.dtype
