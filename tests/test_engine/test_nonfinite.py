# Copyright (c) mmfba authors.
"""Losses that turn NaN or infinite in one local module."""

import copy
import logging

import pytest
import torch
from local_models import build, raw_data
from mmengine.hooks import Hook
from mmengine.optim import build_optim_wrapper
from tiny_runner import make_runner

from mmfba.engine.hooks import FeatureBankHook
from mmfba.engine.hooks.feature_bank_hook import PATIENCE

OURS = 'mmfba.LocalLearningOptimWrapper'


def _spoil(model, module, iteration, value):
    """The loss of a module is ``value`` times itself at one iteration."""
    calls = []
    part = model.local_aux[module] if module < 2 else model.head
    loss = part.loss

    def spoiled(*args):
        calls.append(1)
        losses = loss(*args)
        if len(calls) == iteration:
            losses['loss'] = losses['loss'] * value
        return losses

    part.loss = spoiled


def _runner(tmp_path, module, value, iteration=2, **wrapper):
    model = build('classification', num_modules=3)
    _spoil(model, module, iteration, value)
    runner = make_runner(model, tmp_path, epochs=2)
    runner.optim_wrapper.update(wrapper)
    return runner


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
@pytest.mark.parametrize('module', [0, 1, 2])
def test_stops_before_the_next_checkpoint(tmp_path, module, value):
    runner = _runner(tmp_path, module, value)
    words = rf'Iteration 2: .*local module {module} of 3 .*nonfinite=.skip.'
    with pytest.raises(FloatingPointError, match=words):
        runner.train()
    assert not list(tmp_path.glob('*.pth'))


@pytest.mark.parametrize('module', [0, 2])
def test_skips_the_step_alone(tmp_path, module, caplog):
    runner = _runner(tmp_path, module, float('nan'), nonfinite='skip')
    steps = []
    weights = runner.model.backbone.conv1.weight

    class Watch(Hook):
        def after_train_iter(self, *args, **kwargs):
            steps.append(weights.detach().clone())

    runner.register_hook(Watch())
    with caplog.at_level(logging.WARNING):
        runner.logger.addHandler(caplog.handler)
        runner.train()
    assert f'Iteration 2: the loss of local module {module}' in caplog.text
    assert steps[1].equal(steps[0]) and not steps[2].equal(steps[1])
    assert all(p.isfinite().all() for p in runner.model.parameters())


def test_skipping_costs_nothing_else():
    """Finite steps are those of the default, bit for bit."""
    states = []
    for nonfinite in ('stop', 'skip', 'ignore'):
        model = build('classification', num_modules=3)
        wrapper = build_optim_wrapper(
            model,
            dict(
                type=OURS,
                nonfinite=nonfinite,
                optimizer=dict(type='SGD', lr=0.1),
            ),
        )
        for seed in range(2):
            batch = raw_data('classification', seed=seed)
            model.train_step(copy.deepcopy(batch), wrapper)
        states.append(model.state_dict())
    for state in states[1:]:
        assert all(v.equal(states[0][k]) for k, v in state.items())


def test_ignores(tmp_path):
    runner = _runner(tmp_path, 0, float('nan'), nonfinite='ignore')
    runner.train()
    assert runner.model.backbone.conv1.weight.isnan().any()


@pytest.mark.skipif(
    not hasattr(torch.amp, 'GradScaler'), reason='torch 2.1 has none for CPUs'
)
def test_a_scaler_skips_by_itself(tmp_path, monkeypatch):
    model = build('classification', num_modules=3)
    wrapper = build_optim_wrapper(
        model,
        dict(
            type='mmfba.AmpLocalLearningOptimWrapper',
            dtype='bfloat16',
            optimizer=dict(type='SGD', lr=0.1),
        ),
    )
    assert not wrapper.scales_gradients  # no GPU
    scaler = torch.amp.GradScaler('cpu')
    monkeypatch.setattr(wrapper, 'loss_scaler', scaler)
    assert wrapper.scales_gradients
    batch = raw_data('classification', size=128)
    model.train_step(copy.deepcopy(batch), wrapper)
    before = copy.deepcopy(model.backbone.conv1.weight)
    scale = scaler.get_scale()
    _spoil(model, 1, 1, float('inf'))
    outputs = model.train_step(copy.deepcopy(batch), wrapper)
    assert model.backbone.conv1.weight.equal(before)
    assert scaler.get_scale() == scale / 2  # the scaler has seen it

    runner = make_runner(model, tmp_path)
    runner.optim_wrapper = wrapper
    hook = FeatureBankHook()
    for name, value in outputs.items():
        runner.message_hub.update_scalar(f'train/{name}', value)
    for _ in range(PATIENCE - 1):
        hook.after_train_iter(runner, 0, None, outputs)
    with pytest.raises(FloatingPointError, match='local module 1 of 3'):
        hook.after_train_iter(runner, 0, None, outputs)


def test_wrong_choices():
    model = build('classification', num_modules=3)
    cfg = dict(type=OURS, optimizer=dict(type='SGD', lr=0.1))
    with pytest.raises(ValueError, match="nonfinite='halt': choose from"):
        build_optim_wrapper(model, dict(cfg, nonfinite='halt'))
