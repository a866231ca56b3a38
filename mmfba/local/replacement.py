# Copyright (c) mmfba authors.
from contextlib import ExitStack, contextmanager
from typing import Any, Callable, Dict, Iterator, Sequence
from unittest.mock import patch

from torch import nn


@contextmanager
def replaced(forwards: Dict[nn.Module, Callable[..., Any]]) -> Iterator[None]:
    """Let modules run another forward inside the context.

    Hooks of the modules run as ever, and their state dict stays as it is.
    """
    with ExitStack() as stack:
        for module, forward in forwards.items():
            stack.enter_context(patch.object(module, 'forward', forward))
        yield


def as_one(
    modules: Sequence[nn.Module],
    forward: Callable[..., Any],
) -> Dict[nn.Module, Callable[..., Any]]:
    """Forwards with which the first of several modules, in the order in which
    they run, computes all of them, and the others hand its result on."""
    rest = dict.fromkeys(modules[1:], lambda x: x)
    return {**rest, modules[0]: forward}
