# Copyright (c) mmfba authors.
"""Two processes (gloo) under mmengine's MMDistributedDataParallel."""

import socket
import time

import pytest
import torch.multiprocessing as mp
from ddp_worker import train
from local_models import TASKS

MAN = dict(type='mmfba.MANAuxiliary', host=dict(type='mmfba.GreedyAuxiliary'))
MAN_LEVEL = dict(
    type='mmfba.MANAuxiliary',
    learn_scale=True,
    host=dict(
        type='mmfba.FBAAuxiliary',
        neck=dict(type='mmfba.ConvLevel'),
        head=dict(type='mmfba.TaskHead', stacked_convs=2),
    ),
)


@pytest.mark.parametrize(
    'task, options',
    [
        *((task, {}) for task in TASKS),
        pytest.param(
            'classification', dict(auxiliary=MAN), marks=pytest.mark.slow
        ),
        pytest.param(
            'detection', dict(auxiliary=MAN_LEVEL), marks=pytest.mark.slow
        ),
        ('super-resolution', dict(chunk=1)),
        ('detection', dict(chunk=1, checkpoint=True, lean_stem=True)),
    ],
)
def test_ranks_stay_equal_and_gradients_are_the_mean_of_their_own(
    task, options
):
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    ranks = mp.spawn(train, args=(task, options, port), nprocs=2, join=False)
    deadline = time.monotonic() + 300
    while not ranks.join(timeout=5):
        if time.monotonic() > deadline:
            for process in ranks.processes:
                process.kill()
            pytest.fail('the processes did not come to an end')
