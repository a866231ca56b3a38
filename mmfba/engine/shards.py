# Copyright (c) mmfba authors.
"""Tensors of which each process holds a part, as files have them: whole."""

from typing import Any

import torch
from mmengine.dist import is_main_process
from torch import Tensor, nn
from torch.optim import Optimizer


def is_shard(value: Any) -> bool:
    """Whether it is a DTensor, which PyTorch has at several places."""
    return isinstance(value, Tensor) and hasattr(value, 'full_tensor')


def whole(shard: Tensor) -> Tensor:
    """The tensor itself on the main process, which all processes gather; the
    others keep their shard."""
    mesh = shard.device_mesh
    # NCCL gathers nothing that has been moved to the CPU.
    on_device = type(shard).from_local(
        shard.to_local().to(mesh.device_type),
        mesh,
        shard.placements,
        run_check=False,
        shape=shard.shape,
        stride=shard.stride(),
    )
    full = on_device.full_tensor()
    return full.to(shard.device) if is_main_process() else shard


def shard_loaded_weights(module: nn.Module) -> None:
    """Let a module whose parameters are shards load whole ones."""
    shards = dict(module.named_parameters())

    def shard(state_dict: dict, prefix: str, *_: Any) -> None:
        for name, parameter in shards.items():
            key = prefix + name
            if key in state_dict:
                state_dict[key] = _like(parameter, state_dict[key])

    module._register_load_state_dict_pre_hook(shard)


def shard_loaded_state(optimizer: Optimizer) -> None:
    """Let an optimizer of shards load the state of whole parameters."""

    def shard(optimizer: Optimizer) -> None:
        for parameter, state in optimizer.state.items():
            for key, value in state.items():
                state[key] = _like(parameter, value)

    groups = optimizer.param_groups
    if any(is_shard(p) for group in groups for p in group['params']):
        optimizer.register_load_state_dict_post_hook(shard)


def _like(parameter: Tensor, value: Any) -> Any:
    """The shard of a value that is of the parameter's shape."""
    if not isinstance(value, Tensor) or is_shard(value):
        return value
    if not is_shard(parameter) or value.shape != parameter.shape:
        return value
    return torch.distributed.tensor.distribute_tensor(
        value, parameter.device_mesh, parameter.placements
    )
