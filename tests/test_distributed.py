# Copyright (c) mmfba authors.
"""Two processes (gloo) under mmengine's MMDistributedDataParallel."""

import socket

import pytest
import torch.multiprocessing as mp
from ddp_worker import train
from local_models import TASKS


@pytest.mark.parametrize('task', TASKS)
def test_ranks_stay_equal_and_gradients_are_the_mean_of_their_own(task):
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    mp.spawn(train, args=(task, port), nprocs=2)
