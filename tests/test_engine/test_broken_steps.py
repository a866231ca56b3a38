# Copyright (c) mmfba authors.
"""An exception in the middle of a step, and the step after it."""

import copy

import pytest
import torch
from local_models import build, raw_data
from mmengine.optim import build_optim_wrapper
from torch.utils._python_dispatch import _get_current_dispatch_mode

TASK = 'super-resolution'
OPTIONS = [
    dict(),
    dict(timing='two_pass'),
    dict(chunk=1),
    dict(checkpoint=True),
    dict(chunk=1, checkpoint=True),
]


def _make(**options):
    model = build(TASK, num_modules=3, **options)
    wrapper = build_optim_wrapper(
        model,
        dict(
            type='mmfba.LocalLearningOptimWrapper',
            optimizer=dict(type='SGD', lr=0.1, momentum=0.9),
        ),
    )
    return model, wrapper


def _step(model, wrapper, seed=0):
    model.train_step(raw_data(TASK, seed=seed), wrapper)


def _places(model, wrapper):
    """Objects and names of functions that a step calls, by where it is."""
    units = model.anatomy.units[slice(*model.ranges[1])]
    module = model.local_backbone.get_submodule
    return {
        'unit': [(module(unit.end), 'forward') for unit in units],
        'auxiliary': [
            (model.local_aux[1], name) for name in ('loss', 'image_wise')
        ],
        'local backward': [(wrapper, '_propagate')],
        'main loss': [(model.pixel_loss, 'forward')],
        'main backward': [(wrapper, 'backward')],
        'optimizer': [(wrapper.optimizer, 'step')],
    }


@pytest.mark.parametrize('options', OPTIONS)
@pytest.mark.parametrize(
    'where',
    [
        'unit',
        'auxiliary',
        'local backward',
        'main loss',
        'main backward',
        'optimizer',
    ],
)
def test_leaves_no_trace(where, options, monkeypatch):
    model, wrapper = _make(**options)
    fresh, its_wrapper = _make(**options)
    before = _state(model)
    # At the first step the graphs are walked, too.
    for index, error in enumerate((ZeroDivisionError, KeyboardInterrupt)):
        with monkeypatch.context() as patch:
            for owner, name in _places(model, wrapper)[where]:
                patch.setattr(owner, name, _Failing(error))
            with pytest.raises(error):
                _step(model, wrapper, seed=9)
        assert _state(model) == before
        assert all(p.grad is None for p in model.parameters())
        _step(model, wrapper, seed=index)
        _step(fresh, its_wrapper, seed=index)
        for name, value in fresh.state_dict().items():
            assert value.equal(model.state_dict()[name]), name


class _Failing:
    """Takes the place of a function."""

    def __init__(self, error):
        self.error = error

    def __call__(self, *args, **kwargs):
        raise self.error


def _state(model):
    """What a step opens and has to close."""
    learner = model.learner
    return (
        len(learner.bank),
        learner.bank._current,
        learner._local_backward,
        learner._reduce,
        learner.on_module,
        torch.is_grad_enabled(),
        torch.is_autocast_cpu_enabled(),
        _get_current_dispatch_mode(),
        [
            (len(m._forward_hooks), len(m._backward_hooks), m.training)
            for m in model.modules()
        ],
        sorted(vars(model)),
    )


def test_gradients_summed_up_so_far_are_dropped():
    """With accumulation nothing of the broken step may stay."""
    model, wrapper = _make()
    wrapper._accumulative_counts = 2
    wrapper.initialize_count_status(model, 0, 4)
    before = copy.deepcopy(model.state_dict())
    _step(model, wrapper)
    with pytest.raises(ZeroDivisionError):
        loss = model.pixel_loss.forward
        model.pixel_loss.forward = _Failing(ZeroDivisionError)
        _step(model, wrapper)
    model.pixel_loss.forward = loss
    assert all(p.grad is None for p in model.parameters())
    for name, value in model.state_dict().items():
        assert value.equal(before[name]), name
