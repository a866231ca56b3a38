# Copyright (c) mmfba authors.
from unittest.mock import Mock

import pytest
import torch
from local_models import build, raw_data
from mmengine.optim import build_optim_wrapper

CPU = (
    '[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: '
    "can't allocate memory: you tried to allocate 1099511627776 bytes."
)
GPU = 'CUDA out of memory. Tried to allocate 1.00 TiB.'
ERRORS = [RuntimeError(CPU), torch.cuda.OutOfMemoryError(GPU)]


def _make(**options):
    model = build('detection', num_modules=4, partition='stage', **options)
    cfg = dict(
        type='mmfba.LocalLearningOptimWrapper',
        optimizer=dict(type='SGD', lr=0.01),
    )
    return model, build_optim_wrapper(model, cfg)


def _message(model, wrapper, error):
    batch = raw_data('detection', batch_size=1)
    with pytest.raises(type(error)) as caught:
        model.train_step(batch, wrapper)
    assert type(caught.value) is type(error)
    assert caught.value.__cause__ is error
    assert all(p.grad is None for p in model.parameters())
    assert len(model.learner.bank) == 0
    return str(caught.value)


@pytest.mark.parametrize('error', ERRORS)
def test_names_the_module_and_what_helps(error):
    model, wrapper = _make()
    model.backbone.layer2[1].forward = Mock(side_effect=error)
    text = _message(model, wrapper, error)
    assert text.startswith(str(error))
    assert 'local module 1 of 4, layer2.0 .. layer2.1.' in text
    for key in ('chunk=1', 'checkpoint=[1]', 'partition', 'localise.py'):
        assert key in text, key


def test_options_in_use_are_not_named_again():
    model, wrapper = _make(chunk=1, checkpoint=[0, 3])
    model.backbone.layer3[0].forward = Mock(side_effect=ERRORS[0])
    text = _message(model, wrapper, ERRORS[0])
    assert 'module 2 of 4' in text and 'chunk' not in text
    assert 'checkpoint=[0, 2, 3]' in text


def test_main_backward_and_optimizer():
    for name in ('backward', 'step'):
        model, wrapper = _make()
        setattr(wrapper, name, Mock(side_effect=ERRORS[1]))
        assert 'local module 3 of 4' in _message(model, wrapper, ERRORS[1])


def test_other_errors_are_left_alone():
    model, wrapper = _make()
    error = RuntimeError('shapes cannot be multiplied')
    model.backbone.layer3[0].forward = Mock(side_effect=error)
    with pytest.raises(RuntimeError) as caught:
        model.train_step(raw_data('detection', batch_size=1), wrapper)
    assert caught.value is error
