# Copyright (c) mmfba authors.
"""Auxiliary heads follow what hooks change in the main head."""

import copy
import logging
from contextlib import contextmanager
from functools import partial
from types import FunctionType, MethodType
from typing import Any, Iterator, List, Sequence, Set, Tuple

from mmengine.logging import print_log
from torch import Tensor, nn

from .head_state import MISSING, alike, at, changed, parts_of, state_of

HEADS = ('head', 'bbox_head', 'pixel_loss')


class MainHeadChanges:
    """Hands on what is changed in the main head between training steps.

    Hooks set flags, margins and losses of ``model.head`` while training runs,
    and know nothing of auxiliary heads. An auxiliary head that is of the main
    head's class gets a copy of each new value where it had the value that the
    main head had before; elsewhere one warning says so. What heads change
    themselves in a step, such as a running normaliser, stays each one's own,
    and so do parameters and persistent buffers.

    Args:
        model (nn.Module): The local model. No reference to it is kept.
    """

    hooks: Sequence[str] = ()
    """Names of the hooks that may change a head, for the warning."""

    def __init__(self, model: nn.Module) -> None:
        self._warned: List[str] = []
        self._remember(model)

    @contextmanager
    def followed(self, model: nn.Module) -> Iterator[None]:
        """Context of a training step, before which auxiliary heads follow.

        Args:
            model (nn.Module): The local model.
        """
        self._follow(model)
        self._parts = []  # what the step replaces must not live longer
        try:
            yield
        finally:
            self._remember(model)

    def _remember(self, model: nn.Module) -> None:
        self._head = _main_head(model)[1]
        used = len(model.local_aux) > 0
        self._parts = list(parts_of(self._head)) if used else []

    def _follow(self, model: nn.Module) -> None:
        name, head = _main_head(model)
        if head is not self._head:
            kept = [
                i
                for i, aux in enumerate(model.local_aux)
                if not _replace(aux, self._head, head)
            ]
            self._warn(model, name, self._head, head, kept)
            return
        # Children first: a part may be changed, and then be replaced.
        for path, part, before, versions in reversed(self._parts):
            now = state_of(part)
            for key in {**before, **now}:
                old, new = before.get(key, MISSING), now.get(key, MISSING)
                if not changed(old, new, versions.get(key)):
                    continue
                kept = [
                    i
                    for i, aux in enumerate(model.local_aux)
                    if not _hand_on(aux, head, path, key, old, new)
                ]
                dotted = '.'.join(map(str, (name, *path, key)))
                self._warn(model, dotted, old, new, kept)

    def _warn(
        self,
        model: nn.Module,
        name: str,
        old: Any,
        new: Any,
        kept: List[int],
    ) -> None:
        if not kept or name in self._warned:
            return
        self._warned.append(name)
        kinds = {type(model.local_aux[i]).__name__ for i in kept}
        hooks = f' (of {", ".join(self.hooks)})' if self.hooks else ''
        print_log(
            f'A hook{hooks} has changed model.{name} from {_short(old)} to '
            f'{_short(new)}: the auxiliary heads of the local modules {kept} '
            f'({", ".join(sorted(kinds))}) cannot follow, their losses stay '
            'as they are',
            'current',
            logging.WARNING,
        )


def _main_head(model: nn.Module) -> Tuple[str, Any]:
    """Name and value of what computes the main loss."""
    for name in HEADS:
        if getattr(model, name, None) is not None:
            return name, getattr(model, name)
    return '', None


def _hand_on(
    aux: nn.Module,
    main: Any,
    path: Sequence[Any],
    key: Any,
    old: Any,
    new: Any,
) -> bool:
    """Set a new value in all copies of the main head in an auxiliary network.

    Returns:
        bool: Whether its loss is now computed with that value.
    """
    copies = [m for m in aux.modules() if type(m) is type(main)]
    done = bool(copies or _holders(aux, main))
    for head in copies:
        owner = at(head, path)
        own = (state_of(owner) or {}).get(key, MISSING)
        if alike(own, new):
            continue
        fits = alike(own, old, values=False)
        if owner is MISSING or not fits or not _copyable(new):
            done = False
        else:
            _set(owner, key, copy.deepcopy(new))
    return done


def _set(owner: Any, key: Any, value: Any) -> None:
    if isinstance(owner, (dict, list)):
        owner[key] = value
    else:
        setattr(owner, key, value)


def _holders(aux: nn.Module, head: Any) -> List[Tuple[nn.Module, str]]:
    """Where an auxiliary network holds the main head itself: in a tuple, so
    that it is no submodule."""
    return [
        (module, name)
        for module in aux.modules()
        for name, value in vars(module).items()
        if isinstance(value, tuple) and any(v is head for v in value)
    ]


def _replace(aux: nn.Module, old: Any, new: Any) -> bool:
    """Whether an auxiliary network could take another main head."""
    holders = _holders(aux, old)
    for module, name in holders:
        values = getattr(module, name)
        setattr(module, name, tuple(new if v is old else v for v in values))
    return bool(holders)


def _copyable(value: Any) -> bool:
    """Whether it is a value, and nothing in it belongs to the main head."""
    parts = list(parts_of(value))
    own = {id(part[1]) for part in parts}
    inner = [v for part in parts for v in part[2].values()]
    return value is not MISSING and not any(
        _belongs(v, own) for v in (value, *inner)
    )


def _belongs(value: Any, own: Set[int]) -> bool:
    """Weights, which the optimizer would not know in a copy, and functions
    that may use the main head: bound to something else than ``own``."""
    if isinstance(value, partial):
        return _belongs(value.func, own)
    if isinstance(value, nn.Module):
        return any(True for _ in value.parameters())
    if isinstance(value, FunctionType):
        return value.__closure__ is not None
    if isinstance(value, MethodType):
        return id(value.__self__) not in own
    return isinstance(value, nn.Parameter)


def _short(value: Any) -> str:
    if value is MISSING:
        return 'nothing'
    plain = state_of(value) is None and not isinstance(value, Tensor)
    return repr(value) if plain else type(value).__name__
