# Copyright (c) mmfba authors.
from contextlib import contextmanager
from typing import Iterable, Iterator

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


def is_batch_norm(module: nn.Module) -> bool:
    """Whether a module normalises over the batch. mmcv's ``SyncBatchNorm`` is
    none of torch's classes."""
    name = type(module).__name__
    return isinstance(module, _BatchNorm) or name == 'SyncBatchNorm'


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
        if is_batch_norm(norm) and norm.training
        for buffer in norm.buffers()
    ]
    try:
        yield
    finally:
        for buffer, before in saved:
            buffer.copy_(before)
