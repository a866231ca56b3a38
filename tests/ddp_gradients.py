# Copyright (c) mmfba authors.
"""Gradients in two processes, see test_model_wrappers.py."""

import copy
import functools

import torch
import torch.distributed as dist
from ddp import (
    SMALL,
    assert_equal_weights,
    count_reduced,
    make_wrapper,
    mean,
    own_gradients,
)
from local_models import TASKS, bare_loss, build, data, gradients, raw_data
from mmengine.model import MMDistributedDataParallel
from mmengine.registry import MODELS
from torch.distributed.nn.functional import all_reduce

from mmfba.engine.model_wrappers import LocalDistributedDataParallel
from mmfba.local.isolation import graph_leaves

CHUNKED = dict(chunk=1, checkpoint=True, lean_stem=True)
PEERS = dict(
    PredSim=dict(input_shape=(16, 16), dim_in_decoder=128),
    DGL=dict(variant='original'),
    InfoPro=dict(recon_weight=1.0, task_weight=1.0),
    AugLocal=dict(depth=2),
    Greedy=dict(),
)


def _compare_gradients(rank, task, ddp_cls=None, options=(), plain=None):
    options = {'num_modules': 3, **dict(options)}
    own = build(task, plain, **options)
    batch = data(own, task, seed=rank, batch_size=2)
    torch.manual_seed(0)
    expected = own_gradients(rank, own, batch)

    # Other weights on each rank: the wrapper makes them equal.
    model = build(task, plain, seed=rank, **options)
    if ddp_cls is None:
        ddp = LocalDistributedDataParallel(model, bucket_cap_mb=SMALL)
    else:
        model.load_state_dict(own.state_dict())
        ddp = ddp_cls(model, broadcast_buffers=False)
    wrapper = make_wrapper(model)
    torch.manual_seed(0)
    with count_reduced() as counts:
        with wrapper.optim_context(ddp):
            total, _ = model.parse_losses(ddp(**batch, mode='loss'))
        if ddp_cls is None:  # they are on their way and reached no more
            assert not graph_leaves(total) & ddp.reduction.started
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
        # With a flag each, which says whether there was a gradient.
        assert sum(counts) == sum(p.numel() + 1 for p in trained), options
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
    host = dict(
        type='mmfba.FBAAuxiliary',
        neck=dict(type='mmfba.ConvLevel'),
        head=dict(type='mmfba.TaskHead', stacked_convs=2),
    )
    man = dict(type='mmfba.MANAuxiliary', learn_scale=True, host=host)
    compare('detection', options=dict(auxiliary=man, partition='stage'))


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
        ddp.train_step(raw_data(task, seed=rank), make_wrapper(model))
        assert on_way[0] == 0 < on_way[1] < on_way[2], on_way


def gradients_travel_while_the_final_backward_runs(rank):
    """All of them have started when it ends, also where nothing is cut."""
    for task in TASKS:
        for num_modules in (1, 3):
            model = build(task, num_modules=num_modules)
            ddp = LocalDistributedDataParallel(model, bucket_cap_mb=SMALL)
            started = []

            def look(ddp=ddp, started=started, plain=ddp._at_end_of_backward):
                started.append(set(ddp.reduction.started))
                plain()

            ddp._at_end_of_backward = look
            ddp.train_step(raw_data(task, seed=rank), make_wrapper(model))
            trained = {p for p in model.parameters() if p.requires_grad}
            assert started == [trained], (task, num_modules)


@MODELS.register_module()
class AcrossProcessesBN(torch.nn.BatchNorm2d):
    """SyncBatchNorm's training forward, which needs a GPU, for the CPU."""

    def forward(self, x):
        if x.is_meta:  # torch 2.1 cannot reduce it
            return super().forward(x)
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
        expected = own_gradients(rank, whole, batch)
        norm = key and dict(backbone={key: dict(type='AcrossProcessesBN')})
        model = build(task, norm, num_modules=3).double()
        ddp = LocalDistributedDataParallel(model, bucket_cap_mb=SMALL)
        returned = bare_loss(model, half, forward=ddp)
        model.parse_losses(returned)[0].backward()
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
