# Copyright (c) mmfba authors.
"""Weights sharded over processes, see test_sharded.py."""

import contextlib
import math
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from ddp import make_wrapper
from ddp_zero import ADAM, ZERO, ddp_runner, read
from local_models import TASKS, bare_loss, build, data, raw_data
from mmengine.hooks import EMAHook
from tiny_runner import TinyData

from mmfba.engine.model_wrappers import (
    LocalDistributedDataParallel,
    LocalFullyShardedDataParallel,
)
from mmfba.engine.optim_wrappers import AmpLocalLearningOptimWrapper

SHARDED = 'mmfba.LocalFullyShardedDataParallel'
WRAPPERS = (LocalDistributedDataParallel, LocalFullyShardedDataParallel)
SWIN = dict(
    backbone=dict(
        _delete_=True,
        type='SwinTransformer',
        arch=dict(
            embed_dims=8,
            depths=[1, 1, 2, 1],
            num_heads=[1, 2, 2, 2],
        ),
        img_size=16,
        patch_size=1,
        window_size=2,
        drop_path_rate=0.0,
        stage_cfgs=dict(block_cfgs=dict(window_size=2)),
    ),
    head=dict(in_channels=64),
)
MAN = dict(type='mmfba.MANAuxiliary', host=dict(type='mmfba.GreedyAuxiliary'))


def compare(rank, task, plain=None, steps=2, tolerance=0, wrapper=(), **local):
    """Weights after some steps are those of data parallel training."""
    models, wrappers = [], []
    for cls in WRAPPERS:
        torch.manual_seed(rank)  # the wrapper makes them equal
        models.append(build(task, plain, **{'num_modules': 3, **local}))
        net = cls(models[-1])
        wrappers.append(make_wrapper(net, **dict(wrapper)))
        for seed in range(steps):
            batch = raw_data(task, seed=3 * seed + rank, batch_size=2)
            net.train_step(batch, wrappers[-1])
    assert_same(*models, tolerance, f'{task} {local}')
    return wrappers


def assert_same(model, sharded, tolerance=0, what=''):
    named = dict(sharded.named_parameters())
    for name, p in model.named_parameters():
        torch.testing.assert_close(
            named[name].full_tensor(),
            p,
            rtol=tolerance,
            atol=tolerance,
            msg=f'{what}: {name}',
        )


def weights_are_those_of_data_parallel_training(rank):
    tolerance = 0 if dist.get_world_size() == 2 else 1e-6
    for task in TASKS:
        compare(rank, task, tolerance=tolerance)
    compare(rank, 'classification', SWIN, tolerance=tolerance)


def the_same_with_other_options(rank):
    task = 'super-resolution'
    compare(rank, task, chunk=1)
    compare(rank, task, backward='summed', checkpoint=True)
    compare(rank, 'detection', num_modules=1)
    frozen = dict(backbone=dict(frozen_stages=1))
    compare(rank, 'detection', frozen, chunk=1, lean_stem=True)
    compare(rank, 'classification', auxiliary=MAN)
    skipping = dict(nonfinite='skip')
    compare(rank, 'classification', wrapper=skipping)


def accumulation_and_clipping(rank):
    """The norm is that of all shards."""
    options = dict(accumulative_counts=2, clip_grad=dict(max_norm=0.1))
    wrappers = compare(
        rank, 'super-resolution', steps=4, tolerance=1e-6, wrapper=options
    )
    norms, _ = wrappers[0].message_hub.get_scalar('train/grad_norm').data
    assert len(norms) == 4 and min(norms) > 0.2
    torch.testing.assert_close(*torch.tensor(norms).chunk(2))


@contextlib.contextmanager
def count_collectives():
    """How often weights are gathered and gradients scattered."""
    counts = dict(all_gather_into_tensor=0, reduce_scatter_tensor=0)
    plain = {name: getattr(dist, name) for name in counts}

    def counted(name):
        def call(*args, **kwargs):
            counts[name] += 1
            return plain[name](*args, **kwargs)

        return call

    for name in counts:
        setattr(dist, name, counted(name))
    try:
        yield counts
    finally:
        for name, function in plain.items():
            setattr(dist, name, function)


def weights_are_gathered_once_and_freed_at_cuts(rank):
    task = 'detection'
    model = build(task, num_modules=4)
    net = LocalFullyShardedDataParallel(model)
    assert [len(parts) for parts in net.reduction.parts] == [1, 1, 1, 1, 0]
    parts = sum(net.reduction.parts, [])

    def held():
        whole = [
            not hasattr(next(part.parameters()), 'full_tensor')
            for part in parts
        ]
        return [i for i, is_whole in enumerate(whole) if is_whole]

    seen = []
    model.learner.on_module = lambda _: seen.append(held())
    with count_collectives() as counts:
        net.train_step(raw_data(task, seed=rank), make_wrapper(net))
    assert set(counts.values()) == {4}, counts
    assert seen == [[0], [1], [2], [3]] and held() == []


def mixed_precision(rank):
    """In bf16, with a scaler; an overflow on one rank skips the step."""
    task, kind = 'classification', AmpLocalLearningOptimWrapper
    models = []
    for cls in WRAPPERS:
        models.append(build(task, num_modules=3))
        net = cls(models[-1])
        wrapper = make_wrapper(net, kind, dtype='bfloat16')
        wrapper.loss_scaler = torch.amp.GradScaler('cpu', init_scale=8.0)
        net.train_step(raw_data(task, seed=rank), wrapper)
    assert_same(*models, what='bf16')
    before = next(net.parameters()).full_tensor().clone()
    loss = models[-1].head.loss
    models[-1].head.loss = lambda *args, **kwargs: {
        name: value * (math.inf if rank == 0 else 1)
        for name, value in loss(*args, **kwargs).items()
    }
    net.train_step(raw_data(task, seed=rank), wrapper)
    assert next(net.parameters()).full_tensor().equal(before)
    assert wrapper.loss_scaler.get_scale() == 4

    # And without a scaler, where one process alone has it in its shard.
    wrapper = make_wrapper(net, nonfinite='skip')
    for p in net.parameters():
        p.grad = torch.ones_like(p)
    if rank == 0:
        next(net.parameters()).grad.to_local().fill_(math.inf)
    wrapper.step()
    assert next(net.parameters()).full_tensor().equal(before)


def gradients_that_a_process_lacks(rank):
    """They count as zero; what all lack is an error that names it."""
    task = 'classification'
    models = []
    for cls in WRAPPERS:
        model = build(task, num_modules=3)
        if rank:
            for part in (model.local_aux[0], model.head):
                loss = part.loss
                part.loss = lambda *a, loss=loss, **kw: {
                    k: v.detach() for k, v in loss(*a, **kw).items()
                }
        net = cls(model)
        net.train_step(raw_data(task, seed=rank), make_wrapper(net))
        models.append(model)
    assert_same(*models)
    model = build(task, num_modules=3)
    model.local_aux[0].idle = torch.nn.Parameter(torch.zeros(3))
    net = LocalFullyShardedDataParallel(model)
    with pytest.raises(RuntimeError, match='local_aux.0.idle.*any process'):
        net.train_step(raw_data(task), make_wrapper(net))


def a_step_after_one_that_was_broken_off(rank):
    """And after one without a backward."""
    task = 'classification'
    models = [build(task, num_modules=3) for _ in WRAPPERS]
    for cls, model in zip(WRAPPERS, models):
        net = cls(model)
        wrapper = make_wrapper(net)
        if cls is LocalFullyShardedDataParallel:
            loss = model.local_aux[1].loss
            model.local_aux[1].loss = None
            with pytest.raises(TypeError, match='not callable'):
                net.train_step(raw_data(task), wrapper)
            model.local_aux[1].loss = loss
            bare_loss(model, data(model, task, seed=3), forward=net)
            wrapper.zero_grad()
        net.train_step(raw_data(task, seed=rank), wrapper)
    assert_same(*models)


def refusals(rank):
    def refused(words, options=(), **local):
        model = build('classification', **{'num_modules': 3, **local})
        with pytest.raises(ValueError, match=words):
            LocalFullyShardedDataParallel(model, **dict(options))

    refused("timing='two_pass'.*timing='causal'", timing='two_pass')
    shared = dict(neck=dict(channel_ratio=1.0), head=dict(mode='shared'))
    refused("mode='shared'", auxiliary=shared)
    refused('model_wrapper_cfg.mp_policy=1: .*Amp', dict(mp_policy=1))
    model = build('classification', num_modules=3)
    model.head.scale = torch.nn.Parameter(torch.ones(()))
    with pytest.raises(ValueError, match='head.scale.*no parts'):
        LocalFullyShardedDataParallel(model)
    model = build('classification', num_modules=3)
    model.head.fc.bias = model.local_aux[0].head.fc.bias
    with pytest.raises(ValueError, match='The parameter .*, too'):
        LocalFullyShardedDataParallel(model)
    with pytest.raises(TypeError, match='does no local learning'):
        LocalFullyShardedDataParallel(build('classification'))


def runs_of_a_config(rank, work_dir, resume=None):
    """With EMA and validation. Both wrappers write the same files, from which
    a run goes on in another number of processes."""
    saved = []
    for i, kind in enumerate(WRAPPERS):
        folder = Path(work_dir) / f'{dist.get_world_size()}/{kind.__name__}'
        run(folder, f'mmfba.{kind.__name__}', resume and resume[i])
        dist.barrier()
        name = 'epoch_2.pth' if resume else 'epoch_1.pth'
        saved.append(read(folder / name))
        # Resumed, there is a new one only if it is better.
        assert resume or list(folder.glob('best_*.pth'))
    assert_same_files(*saved, tolerance=1e-6 if resume else 0)


def run(folder, kind, resume=None, **kwargs):
    """Train a classifier for one epoch more."""
    loader = dict(
        dataset=TinyData(),
        batch_size=2,
        num_workers=0,
        sampler=dict(type='DefaultSampler', shuffle=False),
        collate_fn=dict(type='pseudo_collate'),
    )
    epochs = 1 if resume is None else 1 + read(resume)['meta']['epoch']
    ddp_runner(
        folder,
        dict(type='AdamW', lr=0.01),
        kind=kind,
        best='auto',
        epochs=epochs,
        custom_hooks=[EMAHook(momentum=0.5)],
        val_dataloader=loader,
        val_cfg=dict(),
        val_evaluator=dict(type='Accuracy', topk=1),
        resume=resume is not None,
        load_from=None if resume is None else str(resume),
        **kwargs,
    ).train()


def assert_same_files(first, second, tolerance):
    assert first.keys() == second.keys()
    for key in ('state_dict', 'ema_state_dict', 'optimizer'):
        torch.testing.assert_close(
            first[key], second[key], rtol=tolerance, atol=tolerance
        )


def what_the_runner_refuses(rank, work_dir):
    for optimizer, stock, words in (
        (ADAM, True, "Fully.*type='mmfba.AtomicCheckpointHook'"),
        (ZERO, False, "ZeroRedundancyOptimizer'.*Fully"),
    ):
        runner = ddp_runner(
            Path(work_dir) / 'refused', optimizer, stock, kind=SHARDED
        )
        with pytest.raises(ValueError, match=words):
            runner.train()
