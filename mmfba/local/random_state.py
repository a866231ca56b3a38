# Copyright (c) mmfba authors.
from typing import ContextManager

import torch


def forked_random_state() -> ContextManager:
    """A context whose draws leave no trace in the random state outside, that
    of the current GPU included."""
    on_gpu = torch.cuda.is_available()
    devices = [torch.cuda.current_device()] if on_gpu else []
    return torch.random.fork_rng(devices=devices)
