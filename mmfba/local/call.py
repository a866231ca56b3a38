# Copyright (c) mmfba authors.
from dataclasses import dataclass, field
from typing import Any, Iterator, List, Optional, Tuple

from torch import Tensor, nn


@dataclass(eq=False)
class Call:
    """One call of a module.

    Attributes:
        name (str): Name of the module in the network.
        module (nn.Module): The module.
        children (list[Call]): Calls inside it, in order.
        exit (int): Autograd's sequence number when it returned: nodes made
            before are smaller.
        kept (int): Bytes that autograd kept for the backward by then.
        inputs (tuple[Tensor]): The tensors that it was given.
        given (Tensor, optional): Its first argument, if that is a tensor.
        given_version (int): Of that, when it was given.
        outputs (tuple[Tensor]): The tensors that it returned.
        returned (Tensor, optional): What it returned, if that is a tensor.
        nodes (tuple): The nodes of the autograd graph that made them.
        versions (tuple[int]): Of the tensors, when it returned.
        grids (list[tuple[int, int]]): Pairs of integers among its arguments
            and results: backbones of tokens hand their map's size on so.
    """

    name: str
    module: nn.Module
    children: List['Call'] = field(default_factory=list)
    exit: int = -1
    kept: int = 0
    inputs: Tuple[Tensor, ...] = ()
    given: Optional[Tensor] = None
    given_version: int = 0
    outputs: Tuple[Tensor, ...] = ()
    returned: Optional[Tensor] = None
    nodes: Tuple[Any, ...] = ()
    versions: Tuple[int, ...] = ()
    grids: List[Tuple[int, int]] = field(default_factory=list)

    def follows(self, other: 'Call') -> bool:
        """Whether it was given what another call returned, as that returned
        it, and no other tensor."""
        return (
            len(self.inputs) == 1
            and self.given is not None
            and self.given is other.returned
            and self.given_version == other.versions[0]
        )

    def walk(self) -> Iterator['Call']:
        """Yield this call and all inside, each after those inside it."""
        for child in self.children:
            yield from child.walk()
        yield self


def tensors_of(obj: Any) -> Iterator[Tensor]:
    """Yield the tensors in nested lists, tuples and dicts."""
    if isinstance(obj, Tensor):
        yield obj
    elif isinstance(obj, (list, tuple)):
        for item in obj:
            yield from tensors_of(item)
    elif isinstance(obj, dict):
        yield from tensors_of(list(obj.values()))


def pairs_in(obj: Any) -> Iterator[Tuple[int, int]]:
    """Yield the pairs of integers in the same."""
    if isinstance(obj, dict):
        obj = list(obj.values())
    if isinstance(obj, (list, tuple)):
        if len(obj) == 2 and all(type(i) is int for i in obj):
            yield tuple(obj)
        else:
            for item in obj:
                yield from pairs_in(item)
