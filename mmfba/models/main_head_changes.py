# Copyright (c) mmfba authors.
"""Auxiliary heads follow what hooks change in the main head."""

import copy
import logging
from contextlib import contextmanager
from types import FunctionType, MethodType, ModuleType
from typing import Any, Dict, Iterator, List, Sequence, Tuple

import numpy as np
from mmengine.logging import print_log
from torch import Tensor, nn

HEADS = ('head', 'bbox_head', 'pixel_loss')
FUNCTIONS = (FunctionType, MethodType)
UNSET = object()
Path = Tuple[Any, ...]


class MainHeadChanges:
    """Hands on what is changed in the main head between training steps.

    Hooks set flags, margins and losses of ``model.head`` while training runs,
    and know nothing of auxiliary heads. An auxiliary head that is of the main
    head's class gets a copy of each new value where it had one like the main
    head; elsewhere one warning says so. What heads change themselves in a
    step, such as a running normaliser, stays each one's own, and so do
    parameters and persistent buffers.

    Args:
        model (nn.Module): The local model. No reference to it is kept.
    """

    hooks: Sequence[str] = ()
    """Names of the hooks that may change a head, for the warning."""

    def __init__(self, model: nn.Module) -> None:
        self._warned: List[Path] = []
        self._before = _settings(*_main_head(model))

    @contextmanager
    def followed(self, model: nn.Module) -> Iterator[None]:
        """Context of a training step, before which auxiliary heads follow."""
        self._follow(model)
        self._before = {}  # what the step replaces must not live longer
        try:
            yield
        finally:
            self._before = _settings(*_main_head(model))

    def _follow(self, model: nn.Module) -> None:
        now, replaced = _settings(*_main_head(model)), set()
        for path in {**now, **self._before}:
            if path[:-1] in replaced:  # its parts came with it
                replaced.add(path)
                continue
            (old, before), (new, version) = (
                s.get(path, (UNSET, 0)) for s in (self._before, now)
            )
            if old is new and before == version:
                continue
            if old is not new:
                other = isinstance(new, (Tensor, tuple)) or _parts(new)
                if not other and _alike(old, new):
                    continue  # an equal number or the like
                replaced.add(path)
            main = now[path[:1]][0]
            kept = [
                i
                for i, aux in enumerate(model.local_aux)
                if not _hand_on(aux, main, path, old, new)
            ]
            if kept and path not in self._warned:
                self._warned.append(path)
                kinds = {type(model.local_aux[i]).__name__ for i in kept}
                self._warn(
                    path, old, new, f'{kept} ({", ".join(sorted(kinds))})'
                )

    def _warn(self, path: Path, old: Any, new: Any, kept: str) -> None:
        hooks = f' (of {", ".join(self.hooks)})' if self.hooks else ''
        print_log(
            f'A hook{hooks} has changed model.{".".join(map(str, path))} from '
            f'{_short(old)} to {_short(new)}: the auxiliary heads of the '
            f'local modules {kept} cannot follow, their losses stay as they '
            'are',
            'current',
            logging.WARNING,
        )


def _main_head(model: nn.Module) -> Tuple[str, Any]:
    """Name and value of what computes the main loss, if others follow it."""
    for name in HEADS:
        if len(model.local_aux) and getattr(model, name, None) is not None:
            return name, getattr(model, name)
    return '', None


def _settings(name: str, head: Any) -> Dict[Path, Tuple[Any, int]]:
    """All that can be set on a head and its parts, by path, parents first;
    with the versions of tensors, which may be written to."""
    found: Dict[Path, Tuple[Any, int]] = {}
    waiting, seen = [((name,), head)], set()
    while waiting:
        path, value = waiting.pop()
        written = isinstance(value, Tensor) and not value.is_inference()
        found[path] = value, value._version if written else 0
        layer = isinstance(value, nn.Module) and not value._modules
        if layer and value._parameters and value is not head:
            continue  # hooks change nothing in a convolution or the like
        if id(value) not in seen:
            seen.add(id(value))
            waiting += [((*path, k), v) for k, v in _parts(value).items()]
    return found


def _parts(value: Any) -> Dict[Any, Any]:
    """What can be set on an object, by name."""
    if isinstance(value, (dict, list)):
        return dict(value if isinstance(value, dict) else enumerate(value))
    simple = isinstance(value, (type, Tensor, ModuleType, *FUNCTIONS))
    if simple or not hasattr(value, '__dict__'):
        return {}
    parts = dict(vars(value))
    if isinstance(value, nn.Module):
        local = value._non_persistent_buffers_set
        parts.update(value._modules)
        parts.update({k: value._buffers[k] for k in local})
    return {k: v for k, v in parts.items() if k[0] != '_' and k != 'training'}


def _alike(one: Any, other: Any) -> bool:
    """Whether values are equal; for tensors and objects, whether their shape
    or class is."""
    if type(one) is not type(other):
        return False
    if isinstance(one, Tensor):
        return one.shape == other.shape
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(_alike, one, other))
    return bool(_parts(one)) or bool(np.all(one == other))


def _hand_on(
    aux: nn.Module, main: nn.Module, path: Path, old: Any, new: Any
) -> bool:
    """Let an auxiliary network have a new value of the main head.

    Returns:
        bool: Whether its loss is now computed with that value.
    """
    replaced = len(path) == 1  # the head itself
    holders = _holders(aux, old if replaced else main)
    if replaced:
        for module, name in holders:
            held = getattr(module, name)
            setattr(module, name, tuple(new if v is old else v for v in held))
        return bool(holders)
    copies = [m for m in aux.modules() if type(m) is type(main)]
    done = bool(copies or holders)
    for head in copies:
        settings = _settings(path[0], head)
        own, owner = (settings.get(p, (UNSET,))[0] for p in (path, path[:-1]))
        twin = _copy(new, main)
        if owner is UNSET or twin is UNSET or not _alike(own, old):
            done = done and _alike(own, new)
        elif isinstance(owner, (dict, list)):
            owner[path[-1]] = twin
        else:
            setattr(owner, path[-1], twin)
    return done


def _holders(aux: nn.Module, head: Any) -> List[Tuple[nn.Module, str]]:
    """Where an auxiliary network holds the main head itself: in a tuple, so
    that it is no submodule."""
    return [
        (module, name)
        for module in aux.modules()
        for name, value in vars(module).items()
        if isinstance(value, tuple) and any(v is head for v in value)
    ]


def _copy(value: Any, main: nn.Module) -> Any:
    """A copy; ``UNSET`` where it has weights, which the optimizer would not
    know, or is a function or an object that may use the main head."""
    copied: Dict[int, Any] = {}
    twin = copy.deepcopy(value, copied)
    module = isinstance(value, nn.Module)
    weights = module and any(True for _ in value.parameters())
    bound = isinstance(value, FUNCTIONS) or id(main) in copied
    return UNSET if weights or bound or value is UNSET else twin


def _short(value: Any) -> str:
    if value is UNSET:
        return 'nothing'
    plain = not _parts(value) and not isinstance(value, Tensor)
    return repr(value) if plain else type(value).__name__
