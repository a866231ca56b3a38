# Copyright (c) mmfba authors.
import copy

import pytest
import torch
from local_models import build, raw_data
from mmengine.optim import CosineAnnealingLR, OptimWrapper, build_optim_wrapper
from torch import nn

from mmfba.engine.optim_wrappers.param_groups import step_by_merged_groups

PARAMWISE = dict(norm_decay_mult=0.0, custom_keys={'0': dict(lr_mult=3.0)})
TYPE = 'mmfba.LocalLearningOptimWrapper'


def _network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(5, 4), nn.LayerNorm(4), nn.Linear(4, 4), nn.LayerNorm(4)
    ).double()


def _wrapper(network, kind, paramwise_cfg=PARAMWISE):
    return build_optim_wrapper(
        network,
        dict(
            type=kind,
            optimizer=dict(type='AdamW', lr=0.01, weight_decay=0.1),
            paramwise_cfg=paramwise_cfg,
        ),
    )


def _train(network, wrapper, scheduler, steps):
    for seed in steps:
        generator = torch.Generator().manual_seed(seed)
        x = torch.rand(3, 5, generator=generator, dtype=torch.float64)
        wrapper.zero_grad()
        network(x).square().mean().backward()
        OptimWrapper.step(wrapper)
        scheduler.step()


def _scheduler(wrapper):
    return CosineAnnealingLR(wrapper, T_max=10, eta_min=0.001)


def test_steps_are_those_of_a_group_for_each_parameter():
    networks = [_network(), _network()]
    for network, kind in zip(networks, ('OptimWrapper', TYPE)):
        wrapper = _wrapper(network, kind)
        _train(network, wrapper, _scheduler(wrapper), range(6))
    for one, other in zip(*map(nn.Module.parameters, networks)):
        assert one.equal(other)


def test_a_step_is_taken_by_few_groups_and_all_else_has_the_given_ones():
    network = _network()
    wrapper = _wrapper(network, TYPE)
    given = list(wrapper.optimizer.param_groups)
    seen = []
    wrapper.optimizer.register_step_pre_hook(
        lambda optimizer, *_: seen.append(len(optimizer.param_groups))
    )
    _train(network, wrapper, _scheduler(wrapper), range(2))
    assert seen == [3, 3]
    for group, same in zip(given, wrapper.optimizer.param_groups):
        assert group is same and len(group['params']) == 1


def test_what_an_optimizer_writes_in_a_group_stays():
    class Counting(torch.optim.SGD):
        def step(self, closure=None):
            for group in self.param_groups:
                group['count'] = group.get('count', 0) + 1

    groups = [dict(params=[p]) for p in _network().parameters()]
    optimizer = Counting(groups, lr=0.1)
    step_by_merged_groups(optimizer)
    optimizer.step()
    optimizer.step()
    assert [g['count'] for g in optimizer.param_groups] == [2] * len(groups)


def _resumed(kind, saved_by):
    """A training of six steps, saved after three and resumed."""
    network = _network()
    wrapper = _wrapper(network, saved_by)
    scheduler = _scheduler(wrapper)
    _train(network, wrapper, scheduler, range(3))
    saved = [
        copy.deepcopy(each.state_dict())
        for each in (network, wrapper, scheduler)
    ]
    network = _network()
    wrapper = _wrapper(network, kind)
    scheduler = _scheduler(wrapper)
    for each, state in zip((network, wrapper, scheduler), saved):
        each.load_state_dict(state)
    _train(network, wrapper, scheduler, range(3, 6))
    return network, wrapper


def test_states_are_those_of_the_stock_wrapper():
    expected, _ = _resumed('OptimWrapper', 'OptimWrapper')
    for kind, saved_by in (
        (TYPE, 'OptimWrapper'),
        ('OptimWrapper', TYPE),
        (TYPE, TYPE),
    ):
        network, wrapper = _resumed(kind, saved_by)
        assert len(wrapper.state_dict()['param_groups']) == 8
        for one, other in zip(network.parameters(), expected.parameters()):
            assert one.equal(other)


def test_groups_that_are_distributed_to_processes_stay():
    class Distributed(torch.optim.SGD):
        def consolidate_state_dict(self):
            """What PyTorch's ZeroRedundancyOptimizer has."""

    groups = [dict(params=[p]) for p in _network().parameters()]
    optimizer = Distributed(groups, lr=0.1)
    step_by_merged_groups(optimizer)
    seen = []
    optimizer.register_step_pre_hook(
        lambda optimizer, *_: seen.append(len(optimizer.param_groups))
    )
    optimizer.step()
    assert seen == [len(groups)]


def test_a_step_that_fails_leaves_the_given_groups():
    model = build('classification', num_modules=2)
    wrapper = _wrapper(model, TYPE, dict(norm_decay_mult=0.0))
    given = list(wrapper.optimizer.param_groups)
    seen = []

    def fail(optimizer, *_):
        seen.append(len(optimizer.param_groups))
        raise ZeroDivisionError

    wrapper.optimizer.register_step_pre_hook(fail)
    with pytest.raises(ZeroDivisionError):
        model.train_step(raw_data('classification'), wrapper)
    assert seen == [2] and len(given) > 2
    groups = wrapper.optimizer.param_groups
    assert all(one is other for one, other in zip(given, groups))
    assert len(groups) == len(given)
