# Copyright (c) mmfba authors.
"""Run a function in two processes that average over gloo."""

import os
import time

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from run_tool import free_port


def run_twice(function, *args, timeout=600):
    """Run ``function(rank, *args)`` in both; an error there is one here."""
    ranks = mp.spawn(
        _run, args=(free_port(), function, args), nprocs=2, join=False
    )
    deadline = time.monotonic() + timeout
    while not ranks.join(timeout=1):
        if time.monotonic() > deadline:
            for process in ranks.processes:
                process.kill()
            pytest.fail('the processes did not come to an end')


def _run(rank, port, function, args):
    os.environ.update(
        MASTER_ADDR='127.0.0.1',
        MASTER_PORT=str(port),
        RANK=str(rank),
        LOCAL_RANK=str(rank),
        WORLD_SIZE='2',
    )
    torch.set_num_threads(1)
    dist.init_process_group('gloo', rank=rank, world_size=2)
    function(rank, *args)
    dist.barrier()
    # Without destructors: gloo's can wait for each other, and for the GIL.
    os._exit(0)


def on_both(tensor):
    """The tensors of the two ranks."""
    ranks = [torch.empty_like(tensor) for _ in range(2)]
    dist.all_gather(ranks, tensor.contiguous())
    return ranks


def mean(tensor):
    """Their mean."""
    return sum(on_both(tensor)) / 2


def assert_equal_weights(model, what=''):
    """All parameters are the same, bit for bit."""
    for name, p in model.named_parameters():
        first, second = on_both(p.detach())
        assert first.equal(second), f'{what}: {name}'
