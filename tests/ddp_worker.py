# Copyright (c) mmfba authors.
"""What each process of test_distributed.py runs."""

import os

import torch
import torch.distributed as dist
from local_models import build, data, gradients, raw_data
from mmengine.model import MMDistributedDataParallel

from mmfba.engine.optim_wrappers import LocalLearningOptimWrapper


def train(rank, task, options, port):
    """Compare gradients with those of each rank alone, then weights."""
    os.environ.update(MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port))
    torch.set_num_threads(1)
    own = build(task, num_modules=3, **options)
    batch = data(own, task, seed=rank, batch_size=2)
    total, _ = own.parse_losses(own(**batch, mode='loss'))
    total.backward()
    expected = gradients(own)

    dist.init_process_group('gloo', rank=rank, world_size=2)
    model = build(task, num_modules=3, **options)
    ddp = MMDistributedDataParallel(model, broadcast_buffers=False)
    wrapper = LocalLearningOptimWrapper(
        torch.optim.SGD(model.parameters(), lr=0.1)
    )
    with wrapper.optim_context(ddp):
        total, _ = model.parse_losses(ddp(**batch, mode='loss'))
    total.backward()
    for name, grad in gradients(model).items():
        if grad is None:  # frozen
            assert expected[name] is None, name
            continue
        assert _on_both(grad)[0].equal(_on_both(grad)[1]), name
        if task != 'detection':  # whose normaliser is a mean over the ranks
            mean = sum(_on_both(expected[name])) / 2
            torch.testing.assert_close(
                grad, mean, rtol=1e-5, atol=1e-6, msg=name
            )
    ddp.zero_grad()

    for seed in range(2):
        ddp.train_step(raw_data(task, seed=2 * seed + rank), wrapper)
    for name, p in model.named_parameters():
        assert _on_both(p.detach())[0].equal(_on_both(p.detach())[1]), name
    dist.barrier()
    # Without destructors: gloo's can wait for each other, and for the GIL.
    os._exit(0)


def _on_both(tensor):
    ranks = [torch.empty_like(tensor) for _ in range(2)]
    dist.all_gather(ranks, tensor)
    return ranks
