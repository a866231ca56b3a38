# Copyright (c) mmfba authors.
"""``torchrun tools/train.py CONFIG --launcher pytorch --resume`` without its
imports: two processes, forked and watched by torchrun's agent."""

import itertools
import multiprocessing
import os
import signal
import sys
import threading
import time
from functools import partial
from uuid import uuid4

import torch
from run_tool import load_tool
from torch.distributed.elastic.multiprocessing import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from mmfba.engine.model_wrappers import LocalDistributedDataParallel
from mmfba.engine.processes import UNSHARED
from mmfba.local.learner import LocalLearner


def run_group(cfg, fault=None, rank=1, restarts=0):
    """Train in a process group of its own; one calls ``fault`` before.

    Returns:
        tuple[int, float, str]: Exit status, how many seconds it ran, and what
        was printed.
    """
    folder = os.path.dirname(cfg.work_dir)
    cfg.dump(os.path.join(folder, 'config.py'))
    context = multiprocessing.get_context('fork')
    agent = context.Process(
        target=_launch, args=(folder, fault, rank, restarts)
    )
    start = time.monotonic()
    agent.start()
    agent.join()
    seconds = time.monotonic() - start
    with open(os.path.join(folder, 'log')) as log:
        return agent.exitcode, seconds, log.read()


def _launch(folder, fault, rank, restarts):
    sys.stdout = sys.stderr = open(os.path.join(folder, 'log'), 'w')
    for stream in (1, 2):
        os.dup2(sys.stderr.fileno(), stream)
    os.environ[UNSHARED] = '1'
    settings = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=2,
        run_id=str(uuid4()),
        rdzv_backend='c10d',
        rdzv_endpoint='localhost:0',
        max_restarts=restarts,
        monitor_interval=0.1,
        start_method='fork',
    )
    try:
        elastic_launch(settings, _train)(folder, fault, rank)
    except (ChildFailedError, SignalException) as error:
        print(error, flush=True)
        os._exit(1)
    os._exit(0)  # without what pytest does at an exit


def _train(folder, fault, rank):
    torch.set_num_threads(1)
    # As in a process that was not forked.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if fault is not None and int(os.environ['RANK']) == rank:
        fault()
    config = os.path.join(folder, 'config.py')
    load_tool('train').main([config, '--launcher', 'pytorch', '--resume'])


def killed(at_step, seconds):
    """SIGKILL, once, so many seconds after a training step has begun."""
    if os.environ['TORCHELASTIC_RESTART_COUNT'] != '0':
        return
    kill = partial(os.kill, os.getpid(), signal.SIGKILL)
    timer = threading.Timer(seconds, kill)
    timer.daemon = True
    _at_step(at_step, timer.start)


def fails_in_a_local_loss():
    """At the second step."""
    learn, calls = LocalLearner._learn, itertools.count()

    def failing(*args):
        if next(calls) == 1:
            raise LookupError('a fault of the test')
        return learn(*args)

    LocalLearner._learn = failing


def data_end_early():
    """After one batch."""
    loader = torch.utils.data.DataLoader
    plain = loader.__iter__
    loader.__iter__ = lambda self: itertools.islice(plain(self), 1)


def is_silent():
    """For ever, at the second step."""

    def sleep():
        print(f'silent since {time.time()}', flush=True)
        time.sleep(10000)

    _at_step(1, sleep)


def _at_step(number, action):
    step, calls = LocalDistributedDataParallel.train_step, itertools.count()

    def acting(*args, **kwargs):
        if next(calls) == number:
            action()
        return step(*args, **kwargs)

    LocalDistributedDataParallel.train_step = acting
