# Copyright (c) mmfba authors.
"""Checks that run in two processes at once, which average over gloo."""

import contextlib
import os
import time

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from local_models import bare_loss, gradients
from run_tool import free_port

from mmfba.engine.optim_wrappers import LocalLearningOptimWrapper

LR = 0.1
SMALL = 0.01  # MiB in a bucket, so that there are several


def run_twice(checks, timeout=600, processes=2):
    """Run each ``check(rank)`` in both; an error there is one here."""
    args = (free_port(), checks, processes)
    ranks = mp.spawn(_run, args=args, nprocs=processes, join=False)
    deadline = time.monotonic() + timeout
    while not ranks.join(timeout=1):
        if time.monotonic() > deadline:
            for process in ranks.processes:
                process.kill()
            pytest.fail('the processes did not come to an end')


def _run(rank, port, checks, processes):
    os.environ.update(
        MASTER_ADDR='127.0.0.1',
        MASTER_PORT=str(port),
        RANK=str(rank),
        LOCAL_RANK=str(rank),
        WORLD_SIZE=str(processes),
    )
    torch.set_num_threads(1)
    dist.init_process_group('gloo', rank=rank, world_size=processes)
    for check in checks:
        check(rank)
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


def make_wrapper(model, cls=LocalLearningOptimWrapper, **kwargs):
    optimizer = torch.optim.SGD(model.parameters(), lr=LR)
    return cls(optimizer=optimizer, **kwargs)


def own_gradients(rank, model, batch):
    """What the rank's own batch gives, without averaging."""
    total, _ = model.parse_losses(bare_loss(model, batch))
    total.backward()
    own = gradients(model)
    model.zero_grad()
    return own


@contextlib.contextmanager
def count_reduced():
    """Elements of gradients that were averaged in the context."""
    counts, plain = [], dist.all_reduce

    def counted(tensor, *args, async_op=False, **kwargs):
        if async_op:
            counts.append(tensor.numel())
        return plain(tensor, *args, async_op=async_op, **kwargs)

    dist.all_reduce = counted
    try:
        yield counts
    finally:
        dist.all_reduce = plain
