# Copyright (c) mmfba authors.
"""Training and testing in several processes, as the tools start them."""

import gc
import os
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from typing import Any, Iterator, Optional

import torch
import torch.distributed as dist
from mmengine.config import Config, ConfigDict
from mmengine.hooks import CheckpointHook
from mmengine.model import MMDistributedDataParallel, is_model_wrapper
from mmengine.optim import ZeroRedundancyOptimizer
from mmengine.registry import MODEL_WRAPPERS
from mmengine.runner import Runner
from torch.nn.parallel import DistributedDataParallel

from mmfba.local_config import is_local
from mmfba.type_name import type_name

from .ended_together import ended_together
from .model_wrappers import (
    LocalDistributedDataParallel,
    LocalFullyShardedDataParallel,
)
from .runner_class import runner_class

WRAPPERS = (LocalDistributedDataParallel, MMDistributedDataParallel)
OURS = 'mmfba.LocalDistributedDataParallel'
SHARDED = 'mmfba.LocalFullyShardedDataParallel'
UNSHARED = 'TORCH_DISABLE_SHARE_RDZV_TCP_STORE'
"""Environment variable by which torchrun opens a store for each start."""


@contextmanager
def several_processes(cfg: Config) -> Iterator[None]:
    """Let a Runner run in the processes that a launcher has started.

    A local model gets :class:`LocalDistributedDataParallel` if the config,
    which is changed in place, names no wrapper. On machines without GPU,
    MMEngine cannot start several processes by itself: gloo is started here.

    Raises:
        ValueError: If the config names a wrapper or a strategy that cannot
            train a local model, or the launcher needs GPUs.
    """
    _set_up(cfg)
    several = cfg.get('launcher', 'none') != 'none'
    try:
        with ended_together() if several else nullcontext():
            yield
    finally:
        # Before the interpreter goes: a thread of gloo that frees tensors
        # after that cannot have the GIL and aborts the process. The model's
        # wrapper, in its Runner's circular references, would keep the group.
        if dist.is_initialized() and dist.get_backend() == 'gloo':
            gc.collect()
            dist.destroy_process_group()


def _set_up(cfg: Config) -> None:
    local, several = is_local(cfg), cfg.get('launcher', 'none') != 'none'
    if local and cfg.get('strategy') is not None:
        _refuse_strategy(f'strategy={cfg.strategy!r}')
    if local and not issubclass(runner_class(cfg), Runner):
        _refuse_strategy(f'runner_type={cfg.runner_type!r}')
    if local and several:
        if cfg.get('model_wrapper_cfg') is None:
            cfg.model_wrapper_cfg = dict(type=OURS)
        kind = cfg.model_wrapper_cfg.get('type', 'MMDistributedDataParallel')
        _check_wrapper(kind)
        ours = _find_wrapper(kind) is LocalDistributedDataParallel
        if ours and _timeout(cfg) is not None:
            cfg.model_wrapper_cfg.setdefault('timeout', _timeout(cfg))
    if several:
        _check_restarts()
    if several and not torch.cuda.is_available():
        _start_gloo(cfg)


def _check_restarts() -> None:
    """Refuse what could not start anew after a fault."""
    restarts = os.environ.get('TORCHELASTIC_MAX_RESTARTS', '0')
    shared = os.environ.get('TORCHELASTIC_USE_AGENT_STORE') == 'True'
    if shared and restarts != '0':
        raise ValueError(
            f'torchrun --max-restarts={restarts}: processes that start anew '
            'would find the addresses of those that are gone: set the '
            f'environment variable {UNSHARED}=1, and --standalone, or with '
            'several machines --rdzv-backend=c10d and --rdzv-endpoint'
        )


def check_runner(runner: Any) -> None:
    """Refuse what cannot train a local model, once it is built."""
    if not isinstance(runner, Runner):
        _refuse_strategy(f'{type(runner).__name__} as runner')
    if is_model_wrapper(runner.model):
        _check_wrapper(type(runner.model))
        _check_shards(runner)


def _check_shards(runner: Runner) -> None:
    """Refuse to train where the first checkpoint would wait for ever."""
    optimizer = getattr(runner.optim_wrapper, 'optimizer', None)
    if not isinstance(optimizer, torch.optim.Optimizer):
        return  # it is a test
    what = "optim_wrapper.optimizer.type='ZeroRedundancyOptimizer'"
    zero = isinstance(optimizer, ZeroRedundancyOptimizer)
    sharded = isinstance(runner.model, LocalFullyShardedDataParallel)
    if zero and sharded:
        raise ValueError(
            f'{what}: {SHARDED} shards the state of any optimizer: set the '
            "type to that of optimizer_type, such as 'AdamW'"
        )
    if sharded:
        what = f'model_wrapper_cfg.type={SHARDED!r}'
    for hook in runner.hooks if zero or sharded else ():
        save = getattr(type(hook), '_save_checkpoint_with_step', None)
        if save is CheckpointHook._save_checkpoint_with_step and (
            sharded or hook.save_optimizer
        ):
            remedy = '' if sharded else ', or save_optimizer=False'
            raise ValueError(
                f'{what}: all processes must take part in a checkpoint, and '
                f'{type(hook).__name__} asks one: set default_hooks.'
                "checkpoint.type='mmfba.AtomicCheckpointHook', as "
                f'tools/train.py does{remedy}'
            )


def _refuse_strategy(what: str) -> None:
    raise ValueError(
        f'{what}: local models are trained by the Runner of MMEngine. '
        'DeepSpeed, FSDP and ColossalAI take over backward and optimizer '
        "step, which local learning runs module by module: remove 'strategy' "
        "and 'runner_type'; tools/dist_train.sh runs several processes, and "
        f'model_wrapper_cfg.type={SHARDED!r} shards the weights'
    )


def _find_wrapper(kind: Any) -> Any:
    return MODEL_WRAPPERS.get(kind) if isinstance(kind, str) else kind


def _check_wrapper(kind: Any) -> None:
    found = _find_wrapper(kind)
    if found is None or not issubclass(found, WRAPPERS):
        raise ValueError(
            f'model_wrapper_cfg.type={type_name(kind)!r} cannot train a '
            'local model, whose units must be reached through one wrapper '
            'around the whole: set model_wrapper_cfg=dict(_delete_=True, '
            f"type={OURS!r}) or 'MMDistributedDataParallel'"
        )


def _start_gloo(cfg: Config) -> None:
    """What MMEngine does where there are GPUs, less what needs one."""
    if cfg.launcher != 'pytorch':
        raise ValueError(
            f'--launcher={cfg.launcher} needs GPUs, and there are none: use '
            'tools/dist_train.sh or tools/dist_test.sh (--launcher=pytorch)'
        )
    default = dict(
        broadcast_buffers=False,
        find_unused_parameters=cfg.get('find_unused_parameters', False),
    )
    wrapper = ConfigDict(cfg.get('model_wrapper_cfg') or default)
    kind = wrapper.setdefault('type', 'MMDistributedDataParallel')
    if issubclass(_find_wrapper(kind), DistributedDataParallel):
        wrapper['device_ids'] = None  # else the Runner sets that of a GPU
    cfg.model_wrapper_cfg = wrapper
    if dist.is_initialized():
        return
    timeout = _timeout(cfg)
    seconds = {} if timeout is None else dict(timeout=timedelta(0, timeout))
    dist.init_process_group('gloo', **seconds)


def _timeout(cfg: Config) -> Optional[float]:
    """Seconds that processes wait for each other; None is PyTorch's own."""
    env = cfg.get('env_cfg') or {}
    return (env.get('dist_cfg') or {}).get('timeout')
