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
from uuid import uuid4

import torch
from run_tool import load_tool
from torch.distributed.elastic.multiprocessing import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from mmfba.engine.model_wrappers import LocalDistributedDataParallel
from mmfba.engine.processes import UNSHARED
from mmfba.local.learner import LocalLearner

FAULTY = 1
"""The rank that faults are of."""


def run_group(cfg, fault=None, restarts=0):
    """Train in a process group of its own; ``fault`` is called before.

    Returns:
        tuple[int, float, str]: Exit status, how many seconds it ran, and what
        was printed.
    """
    folder = os.path.dirname(cfg.work_dir)
    cfg.dump(os.path.join(folder, 'config.py'))
    context = multiprocessing.get_context('fork')
    agent = context.Process(target=_launch, args=(folder, fault, restarts))
    start = time.monotonic()
    agent.start()
    agent.join()
    seconds = time.monotonic() - start
    with open(os.path.join(folder, 'log')) as log:
        return agent.exitcode, seconds, log.read()


def _launch(folder, fault, restarts):
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
        elastic_launch(settings, _train)(folder, fault)
    except (ChildFailedError, SignalException) as error:
        print(error, flush=True)
        os._exit(1)
    os._exit(0)  # without what pytest does at an exit


def _train(folder, fault):
    torch.set_num_threads(1)
    # As in a process that was not forked.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if fault is not None and int(os.environ['RANK']) == FAULTY:
        fault()
    config = os.path.join(folder, 'config.py')
    load_tool('train').main([config, '--launcher', 'pytorch', '--resume'])


def killed(seconds):
    """SIGKILL, once, after so many seconds."""
    if os.environ['TORCHELASTIC_RESTART_COUNT'] == '0':
        kill = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGKILL))
        kill.daemon = True
        kill.start()


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
    step, calls = LocalDistributedDataParallel.train_step, itertools.count()

    def sleeping(*args, **kwargs):
        if next(calls) == 1:
            print(f'silent since {time.time()}', flush=True)
            time.sleep(10000)
        return step(*args, **kwargs)

    LocalDistributedDataParallel.train_step = sleeping
