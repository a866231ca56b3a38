# Copyright (c) mmfba authors.
"""Gradients that one of two processes lacks, see test_model_wrappers.py."""

import pytest
import torch
from ddp import mean, own_gradients
from local_models import bare_loss, build, data
from mmengine.model import MMDistributedDataParallel

from mmfba.engine.model_wrappers import LocalDistributedDataParallel


def a_parameter_unused_on_one_rank_has_gradient_zero_there(rank):
    for holder in ('local_aux.0', 'head'):
        model = build('classification', num_modules=3)
        module = model.get_submodule(holder)
        module.idle = torch.nn.Parameter(torch.zeros(2))
        if rank == 0:
            _change_losses(
                module,
                lambda out, idle=module.idle: dict(
                    out, loss_idle=3 * idle.sum()
                ),
            )
        ddp = LocalDistributedDataParallel(model)
        for _ in range(2):
            module.idle.grad = None
            _backward(ddp, data(model, 'classification', seed=rank))
            assert module.idle.grad.tolist() == [1.5, 1.5], holder


def a_constant_loss_on_one_rank_has_gradient_zero_there(rank):
    """As of a batch without boxes, in the first step already."""
    task = 'classification'
    for index, holder in enumerate(('local_aux.0', 'local_aux.1', 'head')):
        for wrap in (LocalDistributedDataParallel, _of_mmengine):
            if holder == 'head' and wrap is _of_mmengine:
                continue  # it is plain training there, and its error
            model = build(task, num_modules=3)
            batch = data(model, task, seed=rank)
            own = own_gradients(rank, model, batch)
            units = model.anatomy.units
            part = units[slice(*model.ranges[index])]
            parameter = model.local_backbone.get_parameter
            idle = {parameter(n) for unit in part for n in unit.parameters}
            idle.update(model.get_submodule(holder).parameters())
            if rank == 1:
                _change_losses(
                    model.get_submodule(holder),
                    lambda out: {k: v.detach() for k, v in out.items()},
                )
            _backward(wrap(model), batch)
            for name, p in model.named_parameters():
                if p in idle and rank == 1:
                    own[name] = torch.zeros_like(p)
                torch.testing.assert_close(
                    p.grad, mean(own[name]), rtol=1e-6, atol=1e-6, msg=name
                )


def a_constant_loss_on_all_ranks_is_an_error(rank):
    for holder, name in (('local_aux.0', 'conv1'), ('head', 'head.fc')):
        model = build('classification', num_modules=3)
        _change_losses(
            model.get_submodule(holder),
            lambda out: {k: v.detach() for k, v in out.items()},
        )
        ddp = LocalDistributedDataParallel(model)
        with pytest.raises(RuntimeError, match=rf'{name}.*on any process'):
            _backward(ddp, data(model, 'classification'))


def _of_mmengine(model):
    return MMDistributedDataParallel(model, broadcast_buffers=False)


def _change_losses(module, change):
    loss = module.loss
    module.loss = lambda *args, **kwargs: change(loss(*args, **kwargs))


def _backward(ddp, batch):
    losses = bare_loss(ddp.module, batch, forward=ddp)
    ddp.module.parse_losses(losses)[0].backward()
