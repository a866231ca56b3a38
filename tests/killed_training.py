# Copyright (c) mmfba authors.
"""A training in a process of its own that is killed, and goes on."""

import multiprocessing
import os
import signal
import time
from contextlib import ExitStack
from functools import partial
from unittest.mock import patch

import torch
from fault_configs import classifier_config
from mmengine.optim.optimizer import amp_optimizer_wrapper
from mmengine.runner import Runner

from mmfba.engine.checkpoint_files import last_whole_checkpoint

ITERATIONS = 8
FBA = dict(
    num_modules=3,
    auxiliary=dict(neck=dict(fusion='concat')),
)
ARMS = dict(
    bp=None,
    fba=FBA,
    two_pass=dict(FBA, timing='two_pass'),
    man=dict(
        num_modules=3,
        auxiliary=dict(
            type='mmfba.MANAuxiliary',
            learn_scale=True,
            host=dict(
                type='mmfba.InfoProAuxiliary', recon_weight=5, task_weight=0.5
            ),
        ),
    ),
    amp=FBA,
)


def make_config(folder, arm):
    """Iterations, no workers and nothing random: what resumes exactly."""
    cfg = classifier_config(folder, **(ARMS[arm] or dict(num_modules=1)))
    by_iteration = dict(by_epoch=False, max_iters=ITERATIONS)
    cfg.train_cfg = by_iteration
    cfg.train_dataloader.sampler = dict(type='InfiniteSampler', shuffle=True)
    cfg.param_scheduler = dict(
        type='CosineAnnealingLR', by_epoch=False, T_max=ITERATIONS
    )
    cfg.custom_hooks = [dict(type='EMAHook')]
    cfg.default_hooks.checkpoint = dict(
        type='mmfba.AtomicCheckpointHook',
        by_epoch=False,
        interval=1,
        max_keep_ckpts=1,
        save_last=False,
    )
    for part in ('dataloader', 'evaluator', 'cfg'):
        cfg[f'val_{part}'] = cfg[f'test_{part}'] = None
    if arm == 'bp':
        cfg.model.type = 'ImageClassifier'
        del cfg.model['local_learning']
        cfg.optim_wrapper.type = 'OptimWrapper'
        del cfg.default_hooks['feature_bank']
        cfg.default_hooks.plain = dict(type='mmfba.PlainCheckpointHook')
    if arm == 'amp':
        cfg.optim_wrapper.update(
            type='mmfba.AmpLocalLearningOptimWrapper', dtype='bfloat16'
        )
    return cfg


def train(cfg, begun=None, writes=None):
    """Train, from the last whole checkpoint on if there is one.

    Args:
        cfg (Config): Of :func:`make_config`.
        begun (Event, optional): Set when the first iteration begins.
        writes (int, optional): The process is killed at this write.
    """
    torch.set_num_threads(1)
    cfg.load_from, _ = last_whole_checkpoint(cfg.work_dir)
    cfg.resume = cfg.load_from is not None
    cfg.log_level = 'ERROR'
    runner = Runner.from_cfg(cfg)
    fsync = os.fsync
    left = [writes]

    def dying_fsync(handle):
        if left[0] is not None:
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
        fsync(handle)

    if begun is not None:
        begun.set()
    with ExitStack() as patches:
        patches.enter_context(patch.object(os, 'fsync', dying_fsync))
        if cfg.optim_wrapper.type.startswith('mmfba.Amp'):
            # A scaler at work on the CPU: mmengine's stands aside there.
            scaler = partial(torch.amp.GradScaler, 'cpu', init_scale=64.0)
            patches.enter_context(
                patch.object(amp_optimizer_wrapper, 'GradScaler', scaler)
            )
        runner.train()


def run(cfg, delay=None, writes=None):
    """The same in a process of its own.

    Args:
        cfg (Config): Of :func:`make_config`.
        delay (float, optional): Seconds from the first iteration until it is
            killed.
        writes (int, optional): See :func:`train`.

    Returns:
        tuple[int, float]: Its exit status and how long it trained.
    """
    context = multiprocessing.get_context('fork')
    begun = context.Event()
    process = context.Process(target=train, args=(cfg, begun, writes))
    process.start()
    while process.is_alive() and not begun.wait(1):
        pass
    start = time.monotonic()
    process.join(delay)
    if process.exitcode is None:
        os.kill(process.pid, signal.SIGKILL)
        process.join()
    return process.exitcode, time.monotonic() - start


def result(cfg):
    """The last checkpoint, without what names time and folder."""
    loaded = torch.load(
        os.path.join(cfg.work_dir, f'iter_{ITERATIONS}.pth'),
        weights_only=True,
    )
    parts = ('state_dict', 'ema_state_dict', 'optimizer', 'param_schedulers')
    return {part: loaded[part] for part in parts}


def flatten(value, path=''):
    """Leaves of a checkpoint by their path."""
    if isinstance(value, (list, tuple)):
        value = dict(enumerate(value))
    if not isinstance(value, dict):
        return {path: value}
    leaves = {}
    for key, item in value.items():
        leaves.update(flatten(item, f'{path}/{key}'))
    return leaves


def assert_same(found, expected):
    """Of two results, bit for bit."""
    found, expected = flatten(found), flatten(expected)
    assert found.keys() == expected.keys()
    for path, value in expected.items():
        if isinstance(value, torch.Tensor):
            assert value.equal(found[path]), path
        else:
            assert value == found[path], path
