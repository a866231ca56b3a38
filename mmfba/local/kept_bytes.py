# Copyright (c) mmfba authors.
from typing import Iterable

from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from .live_storages import LiveStorages


class KeptBytes(saved_tensors_hooks):
    """Counts what autograd keeps for the backward, each storage once and as
    long as it lives.

    Args:
        weights (Iterable[Tensor]): What is not counted, since it is there
            anyway.

    Examples:
        >>> with KeptBytes(network.parameters()) as kept:
        >>>     outputs = network(inputs)
        >>> kept.total
    """

    def __init__(self, weights: Iterable[Tensor]) -> None:
        super().__init__(self._pack, _unpack)
        self._total = 0
        self._weights = {w.untyped_storage()._cdata for w in weights}
        self._kept = LiveStorages(self._change)

    @property
    def total(self) -> int:
        """int: Bytes that are kept now."""
        self._kept.collect()
        return self._total

    def __enter__(self) -> 'KeptBytes':
        super().__enter__()
        return self

    def _pack(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in self._weights:
            self._kept.set(storage, storage.nbytes())
        return tensor.detach()  # a node that kept its output would leak

    def _change(self, size: int) -> None:
        self._total += size


def _unpack(tensor: Tensor) -> Tensor:
    return tensor
