# Copyright (c) mmfba authors.
from types import SimpleNamespace

import pytest
from local_models import build

from mmfba.engine.hooks import CheckpointFitHook


def _load(state, test=False, resume=False, wrap=False):
    model = build('classification', num_modules=2)
    runner = SimpleNamespace(model=model, _resume=resume, _load_from='a.pth')
    if wrap:
        state = {f'module.{key}': value for key, value in state.items()}
    CheckpointFitHook(test).after_load_checkpoint(
        runner, dict(state_dict=state)
    )


def _state(drop=(), **options):
    options = options or dict(num_modules=2)
    state = build('classification', seed=1, **options).state_dict()
    return {k: v for k, v in state.items() if not k.startswith(tuple(drop))}


def test_what_fits():
    for wrap in (False, True):
        _load(_state(), resume=True, wrap=wrap)
        _load(_state(), test=True, wrap=wrap)


def test_a_test_needs_the_plain_network_alone():
    _load(_state(drop=['local_aux']), test=True)
    _load(_state(num_modules=4), test=True)
    with pytest.raises(
        ValueError, match=r'a\.pth is not of.*Missing.*"head\.fc\.bias"'
    ):
        _load(_state(drop=['head.fc.bias']), test=True)


def test_resuming_needs_all():
    with pytest.raises(ValueError, match='Missing key.*local_aux'):
        _load(_state(drop=['local_aux']), resume=True)
    more = dict(_state(), more=_state()['head.fc.bias'])
    with pytest.raises(ValueError, match='Unexpected key.*"more"'):
        _load(more, resume=True)


def test_load_from_takes_what_there_is():
    _load(_state(drop=['head', 'local_aux']))
    with pytest.raises(ValueError, match='is not of the model'):
        _load(dict(unknown=_state()['head.fc.bias']))


def test_other_shapes():
    state = _state()
    state['head.fc.weight'] = state['head.fc.weight'][:5]
    _load(state)
    for mode in (dict(test=True), dict(resume=True)):
        with pytest.raises(ValueError, match='size mismatch.*head.fc.weight'):
            _load(state, **mode)
