# Copyright (c) mmfba authors.
"""What can be set on the parts of a head, and whether it means the same."""

from functools import partial
from types import FunctionType, MethodType, ModuleType
from typing import Any, Dict, Iterator, Optional, Sequence, Tuple

import numpy as np
import torch
from torch import Tensor, nn

State = Dict[Any, Any]
Part = Tuple[Tuple[Any, ...], Any, State, Dict[Any, int]]

MISSING = object()
CONSTANT = (type(None), bool, int, float, str, tuple)
NO_PARTS = (type, Tensor, FunctionType, MethodType, ModuleType)


def parts_of(head: Any) -> Iterator[Part]:
    """Path, object, state and versions of its tensors of all that a head
    consists of, parents first."""
    waiting, seen = [((), head)], set()
    while waiting:
        path, part = waiting.pop()
        state = state_of(part)
        if state is None or id(part) in seen:
            continue
        seen.add(id(part))
        versions = {
            k: _version(v) for k, v in state.items() if isinstance(v, Tensor)
        }
        yield path, part, state, versions
        waiting += [
            ((*path, key), value)
            for key, value in state.items()
            if not isinstance(value, CONSTANT) and not _is_layer(value)
        ]


def _is_layer(part: Any) -> bool:
    """Whether it is a convolution or the like: nothing that hooks change."""
    if not isinstance(part, nn.Module):
        return False
    return len(part._parameters) > 0 and not part._modules


def state_of(part: Any) -> Optional[State]:
    """What can be set on an object, by name; None if it has no parts."""
    if isinstance(part, dict):
        return dict(part)
    if isinstance(part, (list, tuple)):
        return dict(enumerate(part))
    if isinstance(part, NO_PARTS) or not hasattr(part, '__dict__'):
        return None
    state = vars(part)
    if isinstance(part, nn.Module):
        local = part._non_persistent_buffers_set
        buffers = {k: b for k, b in part._buffers.items() if k in local}
        state = {**state, **part._modules, **buffers}
    return {k: v for k, v in state.items() if k[0] != '_' and k != 'training'}


def _version(tensor: Tensor) -> int:
    return 0 if tensor.is_inference() else tensor._version


def changed(old: Any, new: Any, version: Optional[int]) -> bool:
    """Whether a value is another one; ``version`` is that of an old tensor,
    which may have been written to."""
    if isinstance(new, Tensor) and new is old:
        return _version(new) != version
    return not (new is old or (state_of(new) is None and alike(new, old)))


def at(part: Any, path: Sequence[Any]) -> Any:
    """The part of a head that has a path, or ``MISSING``."""
    for key in path:
        part = (state_of(part) or {}).get(key, MISSING)
    return part


def alike(
    one: Any, other: Any, values: bool = True, within: Tuple[int, ...] = ()
) -> bool:
    """Whether two values mean the same.

    Args:
        one (Any): A value.
        other (Any): Another one.
        values (bool): Whether tensors must be equal; otherwise their shape
            suffices. Defaults to True.
        within (tuple[int]): Ids of what ``one`` is a part of. Defaults to ().
    """
    if one is other or type(one) is not type(other):
        return one is other
    if isinstance(one, Tensor):
        if not values or one.shape != other.shape:
            return one.shape == other.shape
        return one.device == other.device and torch.equal(one, other)
    if isinstance(one, nn.Module) and any(True for _ in one.parameters()):
        return True  # weights are each head's own
    if isinstance(one, MethodType):
        return one.__func__ is other.__func__
    if isinstance(one, partial):
        one, other = one.__reduce__(), other.__reduce__()
    parts, others = state_of(one), state_of(other)
    if parts is None:
        return bool(np.all(one == other))
    return id(one) in within or (
        parts.keys() == others.keys()
        and all(
            alike(value, others[key], values, (*within, id(one)))
            for key, value in parts.items()
        )
    )
