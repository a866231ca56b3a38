# Copyright (c) mmfba authors.
"""An optimizer sharded over two processes, see test_model_wrappers.py."""

from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from local_models import build
from tiny_runner import make_runner

from mmfba.engine.hooks import AtomicCheckpointHook

OURS = 'mmfba.LocalDistributedDataParallel'
ADAM = dict(type='AdamW', lr=0.01)
ZERO = dict(type='ZeroRedundancyOptimizer', optimizer_type='AdamW', lr=0.01)


def a_sharded_optimizer_is_saved_and_resumed(rank, work_dir):
    """As the plain one: weights, and the state in the checkpoint."""
    folder = Path(work_dir)
    for name, optimizer in dict(plain=ADAM, zero=ZERO).items():
        _train(folder / name, optimizer, epochs=2)
    _train(
        folder / 'resumed',
        ZERO,
        epochs=2,
        resume=True,
        load_from=str(folder / 'zero/epoch_1.pth'),
    )
    for epoch, names in ((1, ['zero']), (2, ['zero', 'resumed'])):
        plain = read(folder / f'plain/epoch_{epoch}.pth')
        for name in names:
            found = read(folder / f'{name}/epoch_{epoch}.pth')
            for key in ('state_dict', 'optimizer'):
                torch.testing.assert_close(
                    found[key], plain[key], rtol=0, atol=0
                )


def the_hook_of_mmengine_would_wait_for_ever(rank, work_dir):
    runner = ddp_runner(Path(work_dir) / 'refused', ZERO, stock=True)
    words = "ZeroRedundancy.*type='mmfba.AtomicCheckpointHook'"
    with pytest.raises(ValueError, match=words):
        runner.train()


def _train(folder, optimizer, **kwargs):
    ddp_runner(folder, optimizer, **kwargs).train()
    dist.barrier()


def ddp_runner(folder, optimizer, stock=False, kind=OURS, best=None, **kwargs):
    """A runner with the checkpoint hook that tools/train.py takes."""
    folder.mkdir(exist_ok=True, parents=True)
    runner = make_runner(
        build('classification', num_modules=3),
        folder,
        optimizer=optimizer,
        launcher=kwargs.pop('launcher', 'pytorch'),
        cfg=dict(model_wrapper_cfg=dict(type=kind)),
        **kwargs,
    )
    if not stock:
        runner._hooks = [
            h for h in runner.hooks if type(h).__name__ != 'CheckpointHook'
        ]
        runner.register_hook(AtomicCheckpointHook(interval=1, save_best=best))
    return runner


def read(path):
    return torch.load(path, map_location='cpu', weights_only=True)
