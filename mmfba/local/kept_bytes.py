# Copyright (c) mmfba authors.
from typing import Iterable

from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks


class KeptBytes(saved_tensors_hooks):
    """Counts what autograd keeps for the backward, each storage once.

    Args:
        weights (Iterable[Tensor]): What is not counted, since it is there
            anyway.

    Attributes:
        total (int): Bytes so far.

    Examples:
        >>> with KeptBytes(network.parameters()) as kept:
        >>>     outputs = network(inputs)
        >>> kept.total
    """

    def __init__(self, weights: Iterable[Tensor]) -> None:
        super().__init__(self._pack, _unpack)
        self.total = 0
        self._known = {w.untyped_storage()._cdata for w in weights}

    def __enter__(self) -> 'KeptBytes':
        super().__enter__()
        return self

    def _pack(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in self._known:
            self._known.add(storage._cdata)
            self.total += storage.nbytes()
        return tensor.detach()  # a node that kept its output would leak


def _unpack(tensor: Tensor) -> Tensor:
    return tensor
