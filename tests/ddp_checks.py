# Copyright (c) mmfba authors.
"""Checks that run in two processes at once, see test_model_wrappers.py."""

import contextlib
import copy
import functools
import math
from pathlib import Path

import torch
import torch.distributed as dist
from ddp import assert_equal_weights, mean
from local_models import TASKS, build, data, gradients, raw_data
from mmengine.hooks import EMAHook
from mmengine.model import MMDistributedDataParallel, is_model_wrapper
from mmengine.optim.optimizer import amp_optimizer_wrapper
from mmengine.registry import MODELS
from tiny_runner import make_runner
from torch.distributed.nn.functional import all_reduce

from mmfba.engine.model_wrappers import LocalDistributedDataParallel
from mmfba.engine.optim_wrappers import (
    AmpLocalLearningOptimWrapper,
    LocalLearningOptimWrapper,
)

LR = 0.1
CHUNKED = dict(chunk=1, checkpoint=True, lean_stem=True)
PEERS = dict(
    PredSim=dict(input_shape=(16, 16), dim_in_decoder=128),
    DGL=dict(variant='original'),
    InfoPro=dict(recon_weight=1.0, task_weight=1.0),
    AugLocal=dict(depth=2),
    Greedy=dict(),
)
SMALL = 0.01  # MiB in a bucket, so that there are several


def run(rank, checks):
    """Run these, each a name and its arguments, one after the other."""
    for name, *args in checks:
        try:
            globals()[name](rank, *args)
        except Exception as error:
            raise AssertionError(f'{name}: {error}') from error


def _wrapper(model, cls=LocalLearningOptimWrapper, **kwargs):
    optimizer = torch.optim.SGD(model.parameters(), lr=LR)
    return cls(optimizer=optimizer, **kwargs)


def _own_gradients(rank, model, batch):
    """What the rank's own batch gives, without averaging."""
    total, _ = model.parse_losses(model(**batch, mode='loss'))
    total.backward()
    own = gradients(model)
    model.zero_grad()
    return own


@contextlib.contextmanager
def _count_reduced():
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


def _compare_gradients(rank, task, ddp_cls=None, options=(), plain=None):
    options = {'num_modules': 3, **dict(options)}
    own = build(task, plain, **options)
    batch = data(own, task, seed=rank, batch_size=2)
    torch.manual_seed(0)
    expected = _own_gradients(rank, own, batch)

    # Other weights on each rank: the wrapper makes them equal.
    model = build(task, plain, seed=rank, **options)
    if ddp_cls is None:
        ddp = LocalDistributedDataParallel(model, bucket_cap_mb=SMALL)
    else:
        model.load_state_dict(own.state_dict())
        ddp = ddp_cls(model, broadcast_buffers=False)
    wrapper = _wrapper(model)
    torch.manual_seed(0)
    with _count_reduced() as counts:
        with wrapper.optim_context(ddp):
            total, _ = model.parse_losses(ddp(**batch, mode='loss'))
        total.backward()
    for name, grad in gradients(model).items():
        if expected[name] is None:
            assert grad is None, name
            continue
        torch.testing.assert_close(
            grad, mean(expected[name]), rtol=1e-6, atol=1e-6, msg=name
        )
    if ddp_cls is None:
        trained = [p for p in model.parameters() if p.requires_grad]
        assert sum(counts) == sum(p.numel() for p in trained), options
        assert len(counts) > 1, counts
    ddp.zero_grad()
    for seed in range(2):
        batch = raw_data(task, seed=2 * seed + rank, batch_size=2)
        ddp.train_step(batch, wrapper)
        assert_equal_weights(model, f'{task}, step {seed}')


def gradients_are_the_mean_of_the_ranks_own(rank):
    """And each is averaged once, and the weights stay equal."""
    for task in TASKS:
        _compare_gradients(rank, task)


def gradients_with_other_options(rank):
    _compare_gradients(rank, 'super-resolution', options=dict(chunk=1))
    _compare_gradients(rank, 'detection', options=CHUNKED)
    _compare_gradients(
        rank,
        'super-resolution',
        options=dict(auxiliary=dict(head=dict(mode='shared'))),
    )


def gradients_with_all_options(rank):
    compare = functools.partial(_compare_gradients, rank)
    for task in TASKS:
        compare(task, options=dict(backward='summed'))
        compare(task, options=dict(num_modules=1))
        compare(task, options=dict(checkpoint=True))
    compare('classification', options=dict(num_modules=5))
    compare(
        'detection',
        options=dict(micro_batches=2, ghost_bn=True),
    )
    compare('detection', options=dict(chunk=1, num_modules=1))
    compare(
        'detection',
        options=dict(num_modules=2),
        plain=dict(backbone=dict(frozen_stages=1)),
    )
    compare('yolov1')
    for kind, options in PEERS.items():
        aux = dict(type=f'mmfba.{kind}Auxiliary', **options)
        compare('classification', options=dict(auxiliary=aux))
    host = dict(type='mmfba.GreedyAuxiliary')
    man = dict(type='mmfba.MANAuxiliary', host=host)
    compare('classification', options=dict(auxiliary=man))
    compare('classification', MMDistributedDataParallel, dict(auxiliary=man))


def the_wrapper_of_mmengine_works_too(rank):
    compare = functools.partial(
        _compare_gradients, rank, ddp_cls=MMDistributedDataParallel
    )
    for task in TASKS:
        compare(task)
    compare('super-resolution', options=dict(chunk=1))
    compare('detection', options=CHUNKED)


def gradients_travel_while_the_next_module_runs(rank):
    for task in TASKS:
        model = build(task, num_modules=3)
        ddp = LocalDistributedDataParallel(model)
        on_way = []

        def look(_, ddp=ddp, on_way=on_way):
            started = ddp.reduction.started
            assert all(p.grad is None for p in started)
            on_way.append(len(started))

        model.learner.on_module = look
        ddp.train_step(raw_data(task, seed=rank), _wrapper(model))
        assert on_way[0] == 0 < on_way[1] < on_way[2], on_way


@MODELS.register_module()
class AcrossProcessesBN(torch.nn.BatchNorm2d):
    """SyncBatchNorm's training forward, which needs a GPU, for the CPU."""

    def forward(self, x):
        ranks = dist.get_world_size()
        average = all_reduce(x.mean((0, 2, 3))) / ranks
        square = all_reduce((x**2).mean((0, 2, 3))) / ranks
        mean, var = average[:, None, None], square - average**2
        scale = (self.weight / (var + self.eps).sqrt())[:, None, None]
        return (x - mean) * scale + self.bias[:, None, None]


def gradients_equal_those_of_one_process_on_the_whole_batch(rank):
    """With batch statistics of all processes; EDSR has none."""
    for task, key in (('classification', 'norm_cfg'), ('super-resolution', 0)):
        whole = build(task, num_modules=3).double()
        batch = raw_data(task, batch_size=4)
        half = {k: v[2 * rank : 2 * rank + 2] for k, v in batch.items()}
        batch, half = (
            _double(whole.data_preprocessor(copy.deepcopy(b), True))
            for b in (batch, half)
        )
        expected = _own_gradients(rank, whole, batch)
        norm = key and dict(backbone={key: dict(type='AcrossProcessesBN')})
        model = build(task, norm, num_modules=3).double()
        ddp = LocalDistributedDataParallel(model, bucket_cap_mb=SMALL)
        model.parse_losses(ddp(**half, mode='loss'))[0].backward()
        for name, grad in gradients(model).items():
            torch.testing.assert_close(
                grad, expected[name], rtol=1e-9, atol=1e-12, msg=name
            )


def _double(batch):
    batch['inputs'] = batch['inputs'].double()
    samples = batch['data_samples']
    if hasattr(samples, 'gt_img'):
        samples.gt_img = samples.gt_img.double()
    return batch


def accumulation_and_clipping(rank):
    """Averaged once in two iterations, and clipped after that."""
    task, max_norm = 'super-resolution', 0.1
    model = build(task, backward='summed', num_modules=3)
    for i in range(2):
        batch = data(model, task, seed=2 * i + rank)
        total, _ = model.parse_losses(model(**batch, mode='loss'))
        (total / 2).backward()
    for p in model.parameters():
        p.grad = mean(p.grad)
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm)
    assert norm > 2 * max_norm
    expected = {n: p - LR * p.grad for n, p in model.named_parameters()}

    model = build(task, num_modules=3)
    ddp = LocalDistributedDataParallel(model)
    wrapper = _wrapper(
        model,
        accumulative_counts=2,
        clip_grad=dict(max_norm=max_norm),
    )
    with _count_reduced() as counts:
        ddp.train_step(raw_data(task, seed=rank), wrapper)
        assert not counts
        ddp.train_step(raw_data(task, seed=2 + rank), wrapper)
    assert sum(counts) == sum(p.numel() for p in model.parameters())
    assert_equal_weights(model)
    for name, p in model.named_parameters():
        torch.testing.assert_close(
            p, expected[name], rtol=1e-5, atol=1e-7, msg=name
        )


def mixed_precision(rank):
    """In bf16, with a scaler; an overflow on one rank skips the step on both.

    MMEngine insists on an accelerator and switches its scaler off without.
    """
    if not hasattr(torch.amp, 'GradScaler'):  # before PyTorch 2.3
        return
    amp_optimizer_wrapper.is_cuda_available = lambda: True
    for task in TASKS:
        model = build(task, num_modules=3)
        ddp = LocalDistributedDataParallel(model, bucket_cap_mb=SMALL)
        wrapper = _wrapper(
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


def update_by_module_gives_the_same_weights(rank):
    for task in TASKS:
        weights = []
        for update in ('step', 'module'):
            model = build(task, num_modules=4)
            ddp = LocalDistributedDataParallel(model, bucket_cap_mb=SMALL)
            wrapper = _wrapper(model, update_by=update)
            held = []

            def look(_, model=model, held=held):
                held.append(
                    sum(p.grad is not None for p in model.parameters())
                )

            model.learner.on_module = look
            for seed in range(2):
                ddp.train_step(raw_data(task, seed=2 * seed + rank), wrapper)
            assert set(held) == {0}  # on their way, or gone
            weights.append(list(model.parameters()))
            assert_equal_weights(model)
        assert all(map(torch.equal, *weights)), task


def update_by_module_is_refused_with_the_wrapper_of_mmengine(rank):
    model = build('classification', num_modules=3)
    ddp = MMDistributedDataParallel(model, broadcast_buffers=False)
    _raises(
        'LocalDistributedDataParallel',
        ddp.train_step,
        raw_data('classification'),
        _wrapper(model, update_by='module'),
    )


def a_plain_loop_and_no_sync(rank):
    """Without MMEngine's loop and optimizer wrapper."""
    task = 'super-resolution'
    model = build(task, num_modules=3)
    batches = [data(model, task, seed=2 * i + rank) for i in range(2)]
    own = [_own_gradients(rank, model, batch) for batch in batches]
    ddp = LocalDistributedDataParallel(model)
    with _count_reduced() as counts, ddp.no_sync():
        model.parse_losses(ddp(**batches[0], mode='loss'))[0].backward()
    assert not counts and ddp.require_backward_grad_sync
    model.parse_losses(ddp(**batches[1], mode='loss'))[0].backward()
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
    ddp, wrapper = LocalDistributedDataParallel(model), _wrapper(model)
    expected = _own_gradients(rank, model, data(model, task, seed=rank))
    loss = model.local_aux[1].loss
    model.local_aux[1].loss = None
    _raises('not callable', ddp.train_step, raw_data(task), wrapper)
    model.local_aux[1].loss = loss
    assert ddp.reduction.started
    model.zero_grad()
    batch = data(model, task, seed=rank)
    model.parse_losses(ddp(**batch, mode='loss'))[0].backward()
    for name, grad in gradients(model).items():
        torch.testing.assert_close(
            grad, mean(expected[name]), rtol=1e-6, atol=1e-6, msg=name
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
            _wrapper(model),
        )


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
