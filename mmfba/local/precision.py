# Copyright (c) mmfba authors.
from contextlib import nullcontext
from typing import ContextManager

import torch
from torch import Tensor


def no_autocast(device: str) -> ContextManager:
    """A context without automatic mixed precision on a type of device."""
    try:
        return torch.autocast(device, enabled=False)
    except RuntimeError:  # torch 2.1 cannot be asked before
        return nullcontext()


def at_least_float32(x: Tensor) -> Tensor:
    """``x`` in single precision, or in double where it is double already."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
