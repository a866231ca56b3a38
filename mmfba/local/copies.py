# Copyright (c) mmfba authors.
import copy
from typing import TypeVar

import torch.distributed as dist
from torch import nn

Module = TypeVar('Module', bound=nn.Module)


def copy_module(module: Module) -> Module:
    """A deep copy that shares process groups, which cannot be copied, as
    those of synchronised batch normalisation."""
    if not dist.is_available():
        return copy.deepcopy(module)
    groups = [
        value
        for part in module.modules()
        for value in vars(part).values()
        if isinstance(value, dist.ProcessGroup)
    ]
    return copy.deepcopy(module, {id(group): group for group in groups})
