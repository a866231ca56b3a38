# Copyright (c) mmfba authors.
"""Training steps in two processes, see test_model_wrappers.py."""

import copy
import functools
import math
from pathlib import Path

import torch
import torch.distributed as dist
from ddp import (
    LR,
    SMALL,
    assert_equal_weights,
    count_reduced,
    make_wrapper,
    mean,
    own_gradients,
)
from local_models import TASKS, bare_loss, build, data, gradients, raw_data
from mmengine.hooks import EMAHook
from mmengine.model import MMDistributedDataParallel, is_model_wrapper
from tiny_runner import make_runner
from torch.utils.checkpoint import checkpoint

from mmfba.engine.model_wrappers import LocalDistributedDataParallel
from mmfba.engine.optim_wrappers import AmpLocalLearningOptimWrapper


def accumulation_and_clipping(rank):
    """Averaged once in two iterations, and clipped after that."""
    task, max_norm = 'super-resolution', 0.1
    model = build(task, backward='summed', num_modules=3)
    for i in range(2):
        batch = data(model, task, seed=2 * i + rank)
        total, _ = model.parse_losses(bare_loss(model, batch))
        (total / 2).backward()
    for p in model.parameters():
        p.grad = mean(p.grad)
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm)
    assert norm > 2 * max_norm
    expected = {n: p - LR * p.grad for n, p in model.named_parameters()}

    model = build(task, num_modules=3)
    ddp = LocalDistributedDataParallel(model)
    wrapper = make_wrapper(
        model,
        accumulative_counts=2,
        clip_grad=dict(max_norm=max_norm),
    )
    with count_reduced() as counts:
        ddp.train_step(raw_data(task, seed=rank), wrapper)
        assert not counts
        ddp.train_step(raw_data(task, seed=2 + rank), wrapper)
    assert sum(counts) == sum(p.numel() + 1 for p in model.parameters())
    assert_equal_weights(model)
    for name, p in model.named_parameters():
        torch.testing.assert_close(
            p, expected[name], rtol=1e-5, atol=1e-7, msg=name
        )


def mixed_precision(rank):
    """In bf16, with a scaler; an overflow on one rank skips the step on both.

    MMEngine switches its scaler off without an accelerator.
    """
    if not hasattr(torch.amp, 'GradScaler'):  # before PyTorch 2.3
        return
    for task in TASKS:
        model = build(task, num_modules=3)
        ddp = LocalDistributedDataParallel(model, bucket_cap_mb=SMALL)
        wrapper = make_wrapper(
            model, AmpLocalLearningOptimWrapper, dtype='bfloat16'
        )
        wrapper.loss_scaler = torch.amp.GradScaler('cpu', init_scale=8.0)
        early = next(p for p in model.parameters() if p.requires_grad)
        overflow = early.register_hook(
            lambda grad: grad * (math.inf if rank == 0 else 1)
        )
        before = copy.deepcopy(list(model.parameters()))
        # Larger: torch's bf16 conv gives NaN on maps of one pixel, by chance.
        batch = functools.partial(raw_data, task, batch_size=2, size=128)
        ddp.train_step(batch(seed=rank), wrapper)
        assert all(map(torch.equal, before, model.parameters())), task
        assert wrapper.loss_scaler.get_scale() == 4
        overflow.remove()
        ddp.train_step(batch(seed=rank), wrapper)
        assert not early.equal(before[0])
        assert wrapper.loss_scaler.get_scale() == 4
        assert_equal_weights(model, task)


def static_graph_is_refused_where_local_backwards_run(rank):
    """With K=1 it changes nothing, as gradient_as_bucket_view."""
    task = 'classification'
    for num_modules, options in (
        (1, dict(static_graph=True)),
        (3, dict(gradient_as_bucket_view=True)),
    ):
        weights = []
        for more in ({}, options):
            model = build(task, num_modules=num_modules)
            ddp = MMDistributedDataParallel(
                model, broadcast_buffers=False, **more
            )
            wrapper = make_wrapper(model)
            for seed in range(3):
                batch = raw_data(task, seed=2 * seed + rank)
                ddp.train_step(batch, wrapper)
            weights.append(list(model.parameters()))
        torch.testing.assert_close(*weights, rtol=1e-6, atol=1e-6)
    model = build(task, num_modules=3)
    ddp = MMDistributedDataParallel(model, static_graph=True)
    _raises(
        'static_graph=True: ',
        ddp.train_step,
        raw_data(task),
        make_wrapper(model),
    )


def a_plain_loop_and_no_sync(rank):
    """Without MMEngine's loop and optimizer wrapper."""
    task = 'super-resolution'
    model = build(task, num_modules=3)
    batches = [data(model, task, seed=2 * i + rank) for i in range(2)]
    own = [own_gradients(rank, model, batch) for batch in batches]
    ddp = LocalDistributedDataParallel(model)
    with count_reduced() as counts, ddp.no_sync():
        returned = bare_loss(model, batches[0], forward=ddp)
        model.parse_losses(returned)[0].backward()
    assert not counts and ddp.require_backward_grad_sync
    returned = bare_loss(model, batches[1], forward=ddp)
    model.parse_losses(returned)[0].backward()
    for name, grad in gradients(model).items():
        torch.testing.assert_close(
            grad,
            mean(own[0][name]) + mean(own[1][name]),
            rtol=1e-5,
            atol=1e-6,
            msg=name,
        )


def a_step_after_one_that_was_broken_off(rank):
    task = 'classification'
    model = build(task, num_modules=3)
    ddp, wrapper = LocalDistributedDataParallel(model), make_wrapper(model)
    expected = own_gradients(rank, model, data(model, task, seed=rank))
    loss = model.local_aux[1].loss
    model.local_aux[1].loss = None
    _raises('not callable', ddp.train_step, raw_data(task), wrapper)
    model.local_aux[1].loss = loss
    assert ddp.reduction.started
    model.zero_grad()
    batch = data(model, task, seed=rank)
    returned = bare_loss(model, batch, forward=ddp)
    model.parse_losses(returned)[0].backward()
    for name, grad in gradients(model).items():
        torch.testing.assert_close(
            grad, mean(expected[name]), rtol=1e-6, atol=1e-6, msg=name
        )


def a_step_without_sync_after_one_without_backward(rank):
    """Its gradients stay where they are."""
    task = 'classification'
    model = build(task, num_modules=3)
    ddp = LocalDistributedDataParallel(model)
    batch = data(model, task, seed=rank)
    expected = own_gradients(rank, model, batch)
    bare_loss(model, batch, forward=ddp)
    model.zero_grad()
    with ddp.no_sync():
        returned = bare_loss(model, batch, forward=ddp)
    model.parse_losses(returned)[0].backward()
    assert not ddp.reduction.started
    for name, grad in gradients(model).items():
        torch.testing.assert_close(
            grad, expected[name], rtol=1e-6, atol=1e-6, msg=name
        )


def a_parameter_without_gradient_is_an_error_that_names_it(rank):
    for holder in ('local_aux.0', 'head'):
        model = build('classification', num_modules=3)
        module = model.get_submodule(holder)
        module.idle = torch.nn.Parameter(torch.zeros(1))
        ddp = LocalDistributedDataParallel(model)
        _raises(
            f'{holder}.idle',
            ddp.train_step,
            raw_data('classification'),
            make_wrapper(model),
        )


def a_gradient_that_grows_under_way_is_an_error_that_names_it(rank):
    """As with a backward inside the backward, of parts with one weight."""
    model = build('classification', num_modules=3)
    layer = model.head.fc

    def twice(module, args, output):
        other = checkpoint(module.forward, *args, use_reentrant=True)
        return output + other

    layer.register_forward_hook(twice)
    ddp = LocalDistributedDataParallel(model, bucket_cap_mb=0)
    _raises(
        'head.fc.weight',
        ddp.train_step,
        raw_data('classification'),
        make_wrapper(model),
    )


def the_sync_norm_of_mmcv_can_be_cut(rank):
    """Its forward needs a GPU; its process group cannot be copied."""
    norm = dict(backbone=dict(norm_cfg=dict(type='MMSyncBN')))
    model = build('classification', norm, num_modules=3)
    assert len(model.ranges) == 3


def _raises(words, function, *args):
    try:
        function(*args)
    except Exception as error:
        assert words in str(error), error
    else:
        raise AssertionError(f'no error with {words!r}')


def a_run_with_ema_from_a_config(rank, work_dir):
    """The hooks find the model; checkpoints have its keys, no wrapper's."""
    model = build('classification', num_modules=3)
    ema = EMAHook(momentum=0.5)
    runner = make_runner(
        model,
        Path(work_dir),
        epochs=2,
        launcher='pytorch',
        cfg=dict(
            model_wrapper_cfg=dict(type='mmfba.LocalDistributedDataParallel')
        ),
        custom_hooks=[ema],
    )
    assert is_model_wrapper(runner.model) and runner.model.module is model
    start = copy.deepcopy(list(model.parameters()))
    runner.train()
    assert_equal_weights(model)
    assert_equal_weights(ema.ema_model)
    first = [next(m.parameters()) for m in (model, ema.ema_model)]
    assert not first[0].equal(start[0]) and not first[0].equal(first[1])
    dist.barrier()
    saved = torch.load(
        Path(work_dir) / 'epoch_2.pth', map_location='cpu', weights_only=True
    )
    assert saved['state_dict'].keys() == model.state_dict().keys()
    # The averaged weights are what is tested: EMAHook swaps the two.
    names = [f'module.{n}' for n in model.state_dict()]
    assert set(names) < set(saved['ema_state_dict'])
