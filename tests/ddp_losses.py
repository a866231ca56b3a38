# Copyright (c) mmfba authors.
"""Losses that average over processes, see test_model_wrappers.py."""

import contextlib

import ddp_gradients  # noqa: F401, registers AcrossProcessesBN
import torch
import torch.distributed as dist
from ddp import SMALL, assert_equal_weights, make_wrapper
from local_models import build, raw_data

from mmfba.engine.model_wrappers import LocalDistributedDataParallel

FCOS = dict(
    bbox_head=dict(
        _delete_=True,
        type='FCOSHead',
        num_classes=4,
        in_channels=16,
        stacked_convs=2,
        feat_channels=16,
        strides=[8, 16, 32, 64, 128],
        norm_cfg=dict(type='GN', num_groups=4),
    ),
    train_cfg=dict(_delete_=True),
)


def what_is_computed_does_not_wait_for_gradients(rank):
    """Neither counts of positives of FCOS, a mean and a sum of the main head
    and both at once of all auxiliary ones, nor statistics of synchronised
    norms."""
    _compare(rank, 'detection', FCOS, per_step=2 + 1)
    norm = dict(backbone=dict(norm_cfg=dict(type='AcrossProcessesBN')))
    _compare(rank, 'classification', norm)


def _compare(rank, task, plain, per_step=None):
    """One process launches its gradients after all losses, the other as
    usual: there, those under way cannot arrive before."""
    weights = []
    for held_back in (False, True):
        model = build(task, plain, num_modules=4)
        ddp = LocalDistributedDataParallel(model, bucket_cap_mb=SMALL)
        wrapper = make_wrapper(model)
        if held_back and rank == 1:
            _launch_at_the_end(ddp.reduction)
        for seed in range(2):
            with _recorded() as events:
                batch = raw_data(task, seed=2 * seed + rank)
                ddp.train_step(batch, wrapper)
            number = events.count('other')
            assert per_step in (None, number), events
            if not (held_back and rank == 1):
                behind = events[events.index('gradients') :]
                assert behind.count('other') >= number / 2, events
        assert_equal_weights(model)
        weights.append(list(model.parameters()))
    assert all(map(torch.equal, *weights)), task


def _launch_at_the_end(reduction):
    start, watch, held = reduction.start, reduction.watch, []

    def launch_and_watch(parameters):
        while held:
            start(held.pop(0))
        # What has been launched only now is not to be watched.
        watch([p for p in parameters if p not in reduction.started])

    reduction.start, reduction.watch = held.append, launch_and_watch


@contextlib.contextmanager
def _recorded():
    """Which reductions are launched in the context, in order."""
    events, plain = [], dist.all_reduce

    def recorded(*args, async_op=False, **kwargs):
        events.append('gradients' if async_op else 'other')
        return plain(*args, async_op=async_op, **kwargs)

    dist.all_reduce = recorded
    try:
        yield events
    finally:
        dist.all_reduce = plain
