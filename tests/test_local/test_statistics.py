# Copyright (c) mmfba authors.
import copy

import pytest
import torch
from torch import nn
from toy_network import NAMES, Backbone, make_batch, make_model, train_step

from mmfba.local.statistics import frozen_statistics

INPUTS, TARGETS = make_batch()
MODULES = ((0, 2), (2, 3), (3, 4))


def run(backbone, x):
    features = {}
    for name in NAMES:
        x = features[name] = getattr(backbone, name)(x)
    return features


def test_leaves_no_trace():
    backbone = Backbone(dropout=0.5).double()
    before = copy.deepcopy(backbone.state_dict())
    torch.manual_seed(0)
    state = torch.get_rng_state()
    with (
        torch.no_grad(),
        torch.random.fork_rng([]),
        frozen_statistics([backbone]),
    ):
        first = run(backbone, INPUTS)
        moved = backbone.stem[1].running_mean.clone()
    assert not torch.equal(moved, before['stem.1.running_mean'])
    assert torch.equal(torch.get_rng_state(), state)
    for name, value in before.items():
        assert torch.equal(backbone.state_dict()[name], value), name
    # Batch statistics and dropout masks are those of the forward that follows.
    second = run(backbone, INPUTS)
    for name, value in second.items():
        assert torch.equal(first[name], value), name
    assert (first['stem'] == 0).double().mean() > 0.6  # ReLU and dropout


def test_leaves_no_trace_after_an_exception():
    backbone = Backbone().double()
    before = copy.deepcopy(backbone.state_dict())
    with pytest.raises(ZeroDivisionError), torch.no_grad():
        with frozen_statistics([backbone]):
            run(backbone, INPUTS)
            raise ZeroDivisionError
    for name, value in before.items():
        assert torch.equal(backbone.state_dict()[name], value), name


class SyncBatchNorm(nn.Module):
    """As mmcv's: none of torch's classes, known by its name."""

    def __init__(self, channels):
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)
        self.register_buffer('running_mean', torch.zeros(channels))

    def forward(self, x):
        self.running_mean += x.detach().mean((0, 2, 3))
        return self.norm(x)


def test_norm_of_mmcv_leaves_no_trace():
    backbone = Backbone().double()
    backbone.a[1] = SyncBatchNorm(4).double()
    with torch.no_grad(), frozen_statistics([backbone]):
        run(backbone, INPUTS)
    assert not backbone.a[1].running_mean.any()


def test_norm_without_running_statistics():
    backbone = Backbone().double()
    backbone.a[1] = nn.BatchNorm2d(4, track_running_stats=False).double()
    with torch.no_grad():
        with frozen_statistics([backbone]):
            run(backbone, INPUTS)
    assert backbone.b[1].num_batches_tracked == 0


def test_statistics_and_random_state_are_those_of_a_causal_step():
    causal = make_model(MODULES, {1: ['stem']}, dropout=0.3)
    double = make_model(MODULES, {1: ['stem']}, dropout=0.3, timing='two_pass')
    after = {}
    for model in (causal, double):
        torch.manual_seed(5)
        losses = train_step(model, INPUTS, TARGETS)
        after[model] = losses, torch.get_rng_state(), model.state_dict()
    (losses, state, weights), (losses2, state2, weights2) = after.values()
    assert torch.equal(state, state2)
    assert losses.keys() == losses2.keys()
    for name in losses:  # equal dropout masks
        assert torch.equal(losses[name], losses2[name]), name
    for name, value in weights.items():
        assert torch.equal(weights2[name], value), name
    assert double.net.c[1].num_batches_tracked == 1


def test_bank_is_filled_for_early_readers():
    model = make_model(
        MODULES, {0: ['c', 'b.pooled']}, timing='two_pass', dropout=0.3
    )
    held = {}
    loss = model.aux[0].loss

    def spy(x, bank, targets):
        held.update({name: bank.get(name) for name in bank})
        return loss(x, bank, targets)

    model.aux[0].loss = spy
    backbone = copy.deepcopy(model.net)
    torch.manual_seed(5)
    train_step(model, INPUTS, TARGETS)
    torch.manual_seed(5)
    expected = run(backbone, INPUTS)
    assert held.keys() == {'c', 'b.pooled'}
    assert torch.equal(held['c'], expected['c'])
    assert torch.equal(held['b.pooled'], expected['b'].mean(dim=(2, 3)))
    assert not any(value.requires_grad for value in held.values())


def test_causal_bank_holds_nothing_of_later_units():
    model = make_model(MODULES, {0: ['c']})
    with pytest.raises(KeyError, match="does not hold 'c' at this point"):
        model.loss(INPUTS, TARGETS)
