# Copyright (c) mmfba authors.
import copy

import pytest
import torch
from toy_chain import (
    assert_same,
    gradients,
    make_batch,
    make_model,
    train_step,
)

from mmfba.local import FeatureBank
from mmfba.local.memory import PeakTracker

INPUTS, TARGETS = make_batch()
MODULES = ((0, 1), (1, 3), (3, 4))
READS = {0: ['input'], 1: ['input', 'stem.pooled', 'a']}


def without_norm(model):
    """Statistics of the batch are all that crosses images."""
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval()
    return model


@pytest.mark.parametrize('chunk', [None, 1, 3])
@pytest.mark.parametrize('counts', [(2,), (1, 3), (2, len(INPUTS))])
@pytest.mark.parametrize('timing', ['causal', 'two_pass'])
def test_gradients_are_those_of_the_whole_batch(timing, counts, chunk):
    whole, split = (
        without_norm(make_model(MODULES, READS, timing=timing, **options))
        for options in ({}, dict(micro_batches=counts, chunk=chunk))
    )
    returned = [train_step(m, INPUTS, TARGETS) for m in (whole, split)]
    assert_same(gradients(split), gradients(whole), 1e-10)
    for name, value in returned[0].items():
        if 'cls' in name:
            torch.testing.assert_close(returned[1][name], value, msg=name)
    assert len(split.learner.bank) == 0


def test_norm_sees_a_micro_batch_and_later_modules_the_batch():
    model = make_model(MODULES, READS, micro_batches=(2,))
    train_step(model, INPUTS, TARGETS)
    moved = [norm[1].num_batches_tracked for norm in model.net.children()]
    assert moved == [2, 1, 1, 1]
    half, seen = len(INPUTS) // 2, []
    twin = copy.deepcopy(model)
    twin.net.a.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    train_step(twin, INPUTS, TARGETS)
    with torch.no_grad():
        expected = [
            copy.deepcopy(model).net.stem(INPUTS[rows])
            for rows in (slice(half), slice(half, None))
        ]
    torch.testing.assert_close(seen[0], torch.cat(expected))


def test_later_modules_read_what_the_micro_batches_computed():
    model = make_model(MODULES, READS, timing='two_pass', micro_batches=(2,))
    read = []
    get = FeatureBank.get

    def spy(bank, name):
        if bank is model.learner.bank and name == 'stem.pooled':
            read.append(get(bank, name))
        return get(bank, name)

    half = len(INPUTS) // 2
    with torch.no_grad():
        expected = [
            copy.deepcopy(model).net.stem(INPUTS[rows]).mean(dim=(2, 3))
            for rows in (slice(half), slice(half, None))
        ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FeatureBank, 'get', spy)
        train_step(model, INPUTS, TARGETS)
    torch.testing.assert_close(read[-1], torch.cat(expected))


def test_uneven_micro_batches_and_summed():
    model = without_norm(make_model(MODULES, READS, micro_batches=(2, 3)))
    plain = without_norm(make_model(MODULES, READS))
    for m in (model, plain):
        train_step(m, INPUTS[:3], TARGETS[:3])
    assert_same(gradients(model), gradients(plain), 1e-10)
    model = make_model(MODULES, backward='summed', micro_batches=(2, 2))
    assert not model.learner.micro_batches


def test_less_memory():
    inputs = INPUTS.repeat(2, 1, 6, 6)
    targets = TARGETS.repeat(2)
    peaks = []
    for counts in ((), (4, 4)):
        model = make_model(MODULES, micro_batches=counts)
        with PeakTracker() as tracker:
            train_step(model, inputs, targets)
        peaks.append(tracker.peak)
    assert peaks[1] < 0.8 * peaks[0]
