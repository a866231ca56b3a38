# Copyright (c) mmfba authors.
from contextlib import contextmanager
from typing import Iterator

import torch
from torch.nn.modules.batchnorm import _BatchNorm

from .chain import Chain


@contextmanager
def frozen_statistics(chain: Chain, device: torch.device) -> Iterator[None]:
    """Let a forward leave no trace: running statistics and random state.

    Batch normalisation still normalises by the batch, so that features equal
    those of the forward that follows.

    Args:
        chain (Chain): The chain that will run inside the context.
        device (torch.device): Device of the inputs.
    """
    saved = [
        (buffer, buffer.clone())
        for unit in chain.units
        for module in unit.modules
        for norm in module.modules()
        if isinstance(norm, _BatchNorm)
        for buffer in norm.buffers()
    ]
    devices = [device] if device.type == 'cuda' else []
    try:
        with torch.random.fork_rng(devices=devices):
            yield
    finally:
        for buffer, before in saved:
            buffer.copy_(before)
