# Copyright (c) mmfba authors.
from contextlib import contextmanager
from typing import Iterable, Iterator

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


@contextmanager
def frozen_statistics(modules: Iterable[nn.Module]) -> Iterator[None]:
    """Let a forward of modules leave no trace in running statistics.

    Batch normalisation still normalises by the batch, so that features equal
    those of the forward that counts.
    """
    saved = [
        (buffer, buffer.clone())
        for module in modules
        for norm in module.modules()
        if isinstance(norm, _BatchNorm) and norm.training
        for buffer in norm.buffers()
    ]
    try:
        yield
    finally:
        for buffer, before in saved:
            buffer.copy_(before)
