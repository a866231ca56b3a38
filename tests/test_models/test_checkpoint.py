# Copyright (c) mmfba authors.
"""Recomputation inside local modules changes memory alone."""

import pytest
import torch
from local_models import bare_loss, build, data, gradients, losses
from torch import nn

from mmfba.analysis.step_profile import profile_step

tasks = pytest.mark.parametrize(
    'task', ['classification', 'detection', 'super-resolution']
)


@pytest.mark.parametrize('checkpoint', [True, [0]])
@pytest.mark.parametrize('num_modules', [1, 3])
@tasks
def test_losses_gradients_and_statistics_are_equal(
    task, num_modules, checkpoint
):
    models = [
        build(task, num_modules=num_modules, **options)
        for options in (dict(checkpoint=checkpoint), {})
    ]
    totals = [losses(model, task)[0] for model in models]
    for total in totals:
        total.backward()
    assert totals[0].equal(totals[1])
    expected = gradients(models[1])
    for name, grad in gradients(models[0]).items():
        assert grad.equal(expected[name]), name
    for name, value in models[1].state_dict().items():
        assert models[0].state_dict()[name].equal(value), name
    counts = [
        m.num_batches_tracked
        for m in models[0].modules()
        if isinstance(m, nn.BatchNorm2d)
    ]
    assert all(n == 1 for n in counts)


@tasks
def test_less_memory_more_flops(task):
    profiles = []
    for checkpoint in (False, True):
        model = build(task, num_modules=2, checkpoint=checkpoint)

        def step(model=model):
            losses(model, task, size=128)[0].backward()
            model.zero_grad()

        profiles.append(profile_step(step, model))
    kept, recomputed = profiles
    assert recomputed.activation_bytes < 0.9 * kept.activation_bytes
    assert kept.flops < recomputed.flops < 1.4 * kept.flops


def test_every_unit_is_recomputed():
    model = build('detection', num_modules=4, checkpoint=True)
    ran = []
    for unit in model.anatomy.units:
        first = model.backbone.get_submodule(unit.runs[0][0])
        first = getattr(first, 'conv1', first)
        first.forward = _counted(first.forward, unit.name, ran)
    losses(model, 'detection')[0].backward()
    # The stem, the first block after a cut, and all others: twice.
    assert len(ran) == 2 * 9
    assert all(ran.count(name) == 2 for name in ran)


def _counted(forward, name, ran):
    def counted(*args):
        ran.append(name)
        return forward(*args)

    return counted


@pytest.mark.parametrize('checkpoint', [[4], [-1], 'all', [0, 'stem'], 1.5])
def test_wrong_modules(checkpoint):
    with pytest.raises(ValueError, match=r'checkpoint=.*from 0 to 3'):
        build('detection', num_modules=4, checkpoint=checkpoint)


def test_same_dropout_masks():
    models = []
    for checkpoint in (True, False):
        model = build('classification', num_modules=3, checkpoint=checkpoint)
        model.backbone.layer1[0].add_module('drop_path', nn.Dropout(0.5))
        torch.manual_seed(3)
        losses(model, 'classification')[0].backward()
        models.append(gradients(model))
    for name, grad in models[1].items():
        assert grad.equal(models[0][name]), name


@pytest.mark.parametrize('num_modules', [1, 4])
@pytest.mark.parametrize('checkpoint', [False, True])
def test_lean_stem(num_modules, checkpoint):
    models = [
        build(
            'detection',
            num_modules=num_modules,
            checkpoint=checkpoint,
            lean_stem=lean,
        ).double()
        for lean in (True, False)
    ]
    for model in models:
        model.data_preprocessor.float()
        batch = data(model, 'detection')
        batch['inputs'] = batch['inputs'].double()
        model.parse_losses(bare_loss(model, batch))[0].backward()
    expected = gradients(models[1])
    for name, grad in gradients(models[0]).items():
        torch.testing.assert_close(
            grad, expected[name], rtol=1e-8, atol=1e-10, msg=name
        )
    for name, value in models[1].state_dict().items():
        torch.testing.assert_close(
            models[0].state_dict()[name], value, rtol=1e-9, atol=1e-10
        )
    assert models[0].backbone.bn1.num_batches_tracked == 1


@pytest.mark.parametrize('task', ['classification', 'super-resolution'])
def test_lean_stem_refuses_another_stem(task):
    with pytest.raises(ValueError, match=r'lean_stem: the stem is'):
        build(task, num_modules=2, lean_stem=True)
