# Copyright (c) mmfba authors.
from dataclasses import dataclass, field
from typing import Any, Iterator, List, Tuple

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
        inputs (tuple[Tensor]): The tensors that it was given.
        outputs (tuple[Tensor]): The tensors that it returned.
        nodes (tuple): The nodes of the autograd graph that made them.
        versions (tuple[int]): Of the tensors, when it returned.
        grids (list[tuple[int, int]]): Pairs of integers among its arguments
            and results: backbones of tokens hand their map's size on so.
    """

    name: str
    module: nn.Module
    children: List['Call'] = field(default_factory=list)
    exit: int = -1
    inputs: Tuple[Tensor, ...] = ()
    outputs: Tuple[Tensor, ...] = ()
    nodes: Tuple[Any, ...] = ()
    versions: Tuple[int, ...] = ()
    grids: List[Tuple[int, int]] = field(default_factory=list)

    def follows(self, other: 'Call') -> bool:
        """Whether it read what another call returned, and nothing else."""
        inputs, outputs = self.inputs, other.outputs
        return len(inputs) == len(outputs) == 1 and inputs[0] is outputs[0]

    @property
    def parameters(self) -> List[nn.Parameter]:
        """list[nn.Parameter]: Of the module."""
        return list(self.module.parameters())

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
