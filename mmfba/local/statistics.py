# Copyright (c) mmfba authors.
from contextlib import contextmanager
from typing import Iterable, Iterator

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from .chain import Unit


@contextmanager
def frozen_statistics(units: Iterable[Unit]) -> Iterator[None]:
    """Let a forward leave no trace in running statistics.

    Batch normalisation still normalises by the batch, so that features equal
    those of the forward that counts.

    Args:
        units (Iterable[Unit]): What runs inside the context.
    """
    saved = [
        (buffer, buffer.clone())
        for unit in units
        for norm in _batch_norms(unit)
        for buffer in norm.buffers()
    ]
    try:
        yield
    finally:
        for buffer, before in saved:
            buffer.copy_(before)


def _batch_norms(unit: Unit) -> Iterator[nn.Module]:
    for module in unit.modules:
        for norm in module.modules():
            if isinstance(norm, _BatchNorm) and norm.training:
                yield norm
