# Copyright (c) mmfba authors.
import pytest
import torch
from toy_network import (
    assert_same,
    gradients,
    make_batch,
    make_model,
    train_step,
)

from mmfba.local.memory import PeakTracker
from mmfba.local.recompute import recomputed

INPUTS, TARGETS = make_batch()
MODULES = ((0, 1), (1, 3), (3, 4))
READS = {1: ['input', 'stem.pooled']}


@pytest.mark.parametrize('timing', ['causal', 'two_pass'])
@pytest.mark.parametrize('checkpoint', [(0, 1, 2), (1,)])
def test_step_is_that_without_recomputation(checkpoint, timing):
    models = [
        make_model(MODULES, READS, dropout=0.3, timing=timing, **options)
        for options in (dict(checkpoint=checkpoint), {})
    ]
    after = []
    for model in models:
        torch.manual_seed(5)  # dropout masks
        returned = train_step(model, INPUTS, TARGETS)
        after.append((returned, torch.get_rng_state()))
    assert_same(gradients(models[0]), gradients(models[1]))
    assert torch.equal(after[0][1], after[1][1])
    for name, value in after[1][0].items():
        assert torch.equal(after[0][0][name], value), name
    # Running statistics moved once.
    assert models[0].net.stem[1].num_batches_tracked == 1
    for name, value in models[1].state_dict().items():
        assert torch.equal(models[0].state_dict()[name], value), name


def test_one_module():
    plain, model = make_model(), make_model(checkpoint=[0])
    for m in (plain, model):
        train_step(m, INPUTS, TARGETS)
    assert_same(gradients(model), gradients(plain))
    assert not model.learner.needs_backward


@pytest.mark.parametrize('eval_mode', [False, True])
def test_only_the_input_is_kept(eval_mode):
    block = make_model().net.a.train(not eval_mode)
    x = torch.randn(8, 4, 16, 16, dtype=torch.float64)
    held = []
    for forward in (block, lambda x: recomputed(block, [block], x)):
        with PeakTracker() as tracker:
            out = forward(x)
            held.append(tracker.current)
            del out
    assert held[1] <= held[0] / 2
    assert held[1] >= x.nbytes  # the output


def test_no_graph_without_gradients():
    stem = make_model().net.stem
    with torch.no_grad():
        assert recomputed(stem, [stem], INPUTS).grad_fn is None
