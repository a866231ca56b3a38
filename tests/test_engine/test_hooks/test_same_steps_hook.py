# Copyright (c) mmfba authors.
from types import SimpleNamespace

import pytest
from local_models import build
from tiny_runner import make_runner

from mmfba.engine.hooks import SameStepsHook, same_steps_hook


@pytest.fixture
def runner(tmp_path):
    runner = make_runner(build('classification', num_modules=3), tmp_path)
    runner.register_hook(dict(type='mmfba.SameStepsHook'))
    return runner


def _first_process_has(monkeypatch, *values):
    monkeypatch.setattr(
        same_steps_hook, 'all_gather_object', lambda own: [values, own]
    )


def test_equal_processes_train(runner, monkeypatch):
    _first_process_has(monkeypatch, 0, 2)
    runner.train()


@pytest.mark.parametrize(
    'first, words',
    [
        ((8, 2), 'goes on from iteration 0, .* rank 0 from 8: .*work_dir='),
        ((0, 3), 'an epoch has 2 batches, .* rank 0 3: .*round_up=True'),
    ],
)
def test_others_are_refused(first, words, runner, monkeypatch):
    _first_process_has(monkeypatch, *first)
    with pytest.raises(ValueError, match=words):
        runner.train()


def test_data_that_end_early_are_an_error_with_several(runner, monkeypatch):
    hook = SameStepsHook()
    runner.train()
    hook.before_train_epoch(runner)
    hook.after_train_iter(runner)
    hook.after_train_epoch(runner)  # with one process nobody waits
    monkeypatch.setattr(same_steps_hook, 'get_world_size', lambda: 2)
    with pytest.raises(SystemExit, match='after 1 of 2 batches, in epoch 2'):
        hook.after_train_epoch(runner)
    hook.after_train_iter(runner)
    hook.after_train_epoch(runner)


def test_iterations_have_no_epochs(monkeypatch):
    runner = SimpleNamespace(train_loop=object(), iter=3)
    _first_process_has(monkeypatch, 3, None)
    hook = SameStepsHook()
    hook.before_train(runner)
    monkeypatch.setattr(same_steps_hook, 'get_world_size', lambda: 2)
    hook.after_train_epoch(runner)
