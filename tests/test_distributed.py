# Copyright (c) mmfba authors.
"""Two processes (gloo) under mmengine's MMDistributedDataParallel."""
import os
import socket

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from local_models import TASKS, build, data, gradients, raw_data
from mmengine.model import MMDistributedDataParallel

from mmfba.engine.optim_wrappers import LocalLearningOptimWrapper


@pytest.mark.parametrize('task', TASKS)
def test_ranks_stay_equal_and_gradients_are_the_mean_of_their_own(task):
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    mp.spawn(_train, args=(task, port), nprocs=2)


def _train(rank, task, port):
    os.environ.update(MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port))
    torch.set_num_threads(1)
    # The ranks' own gradients, before there is a process group.
    own = build(task, num_modules=3)
    batch = data(own, task, seed=rank, batch_size=2)
    if task == 'detection':  # its data is not made from a seed
        torch.manual_seed(0)
    total, _ = own.parse_losses(own(**batch, mode='loss'))
    total.backward()
    expected = gradients(own)

    dist.init_process_group('gloo', rank=rank, world_size=2)
    model = build(task, num_modules=3)
    ddp = MMDistributedDataParallel(model, broadcast_buffers=False)
    wrapper = LocalLearningOptimWrapper(
        torch.optim.SGD(model.parameters(), lr=0.1))
    _compare(ddp, wrapper, batch, expected, task)
    for seed in range(2):
        ddp.train_step(raw_data(task, seed=2 * seed + rank), wrapper)
    for name, p in model.named_parameters():
        other = [torch.empty_like(p) for _ in range(2)]
        dist.all_gather(other, p.detach())
        assert other[0].equal(other[1]), name
    dist.destroy_process_group()


def _compare(ddp, wrapper, batch, expected, task):
    with wrapper.optim_context(ddp):
        total, _ = ddp.module.parse_losses(ddp(**batch, mode='loss'))
    total.backward()
    for name, grad in gradients(ddp.module).items():
        mean = expected[name]
        if task == 'detection':  # its normaliser is the mean over the ranks
            ranks = [torch.empty_like(grad) for _ in range(2)]
            dist.all_gather(ranks, grad)
            assert ranks[0].equal(ranks[1]), name
            continue
        dist.all_reduce(mean)
        torch.testing.assert_close(
            grad, mean / 2, rtol=1e-5, atol=1e-6, msg=name)
    ddp.zero_grad()
