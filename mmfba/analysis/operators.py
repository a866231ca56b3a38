# Copyright (c) mmfba authors.
"""How many operators a step runs, and how often the host waits for one."""

from typing import Any, Sequence

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

READS = {
    '_local_scalar_dense',
    '_unique2',
    'equal',
    'masked_select',
    'nonzero',
    'unique_consecutive',
    'unique_dim',
}
"""Operators whose result, or its shape, the host has to know."""
INDEXING = {'index', 'index_put', 'index_put_', '_index_put_impl_'}


class OperatorCount(TorchDispatchMode):
    """Counts PyTorch's operators, those of the backward, too.

    While a GPU works faster than Python launches its kernels, their number
    sets the time of a step. A synchronisation is an operator that has to know
    a value of a device, which the host then waits for: ``item()``,
    ``nonzero()``, a mask as an index, a copy from the host. On a CPU there
    are none. Not seen is what Python copies as it makes a tensor of numbers,
    ``new_tensor([1.0])``: on a GPU ``torch.cuda.set_sync_debug_mode`` is.

    Attributes:
        operators (int): How many ran, views and allocations included.
        syncs (int): How many of them synchronise on a GPU.
    """

    def __init__(self) -> None:
        super().__init__()
        self.operators = 0
        self.syncs = 0

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: Sequence[Any] = (),
        kwargs: Any = None,
    ) -> Any:
        self.operators += 1
        name = func._schema.name.split('::')[1]
        result = func(*args, **(kwargs or {}))
        if name in ('_to_copy', 'copy_'):
            self.syncs += _moves(name, args, result)
        elif name in READS or (name in INDEXING and _by_mask(name, args)):
            self.syncs += args[0].device.type != 'cpu'
        return result


def _by_mask(name: str, args: Sequence[Any]) -> bool:
    masked = any(i is not None and i.dtype == torch.bool for i in args[1])
    # A mask that a single value is written through is filled.
    return masked and (name == 'index' or args[2].numel() != 1)


def _moves(name: str, args: Sequence[Any], result: Tensor) -> bool:
    """Whether a copy is one between devices."""
    source = args[1] if name == 'copy_' else args[0]
    return source.device != result.device
