# Copyright (c) mmfba authors.
from unittest.mock import Mock

import pytest
import torch
from local_models import build
from tiny_runner import make_runner
from torch.utils._python_dispatch import _get_current_dispatch_mode

from mmfba.engine.hooks import memory_profile_hook


def scalars(runner, prefix='train/peak_mib'):
    hub = runner.message_hub.log_scalars
    return {k: v for k, v in hub.items() if k.startswith(prefix)}


@pytest.mark.parametrize('interval, watched', [(2, 2), (100, 1)])
def test_peaks_of_each_module_are_logged(
    tmp_path, interval, watched, monkeypatch
):
    monkeypatch.setattr(memory_profile_hook, 'INTERVAL', interval)
    model = build('classification', num_modules=3)
    hook = dict(type='mmfba.MemoryProfileHook')
    runner = make_runner(model, tmp_path, epochs=2, custom_hooks=[hook])
    runner.train()
    found = scalars(runner)
    assert list(found) == [
        'train/peak_mib',
        *(f'train/peak_mib_{i}' for i in range(3)),
    ]
    for values in found.values():
        assert len(values.data[0]) == watched
    whole, *modules = [v.current() for v in found.values()]
    weights = sum(p.nbytes for p in model.parameters()) / 2**20
    assert whole == pytest.approx(max(modules)) and min(modules) > weights
    assert model.learner.on_module is None


def test_plain_model(tmp_path):
    model = build('classification')
    hook = dict(type='mmfba.MemoryProfileHook')
    runner = make_runner(
        model, tmp_path, wrapper='OptimWrapper', custom_hooks=[hook]
    )
    runner._hooks = [
        h for h in runner.hooks if type(h).__name__ != 'FeatureBankHook'
    ]
    runner.train()
    assert list(scalars(runner)) == ['train/peak_mib']


@pytest.mark.parametrize('error', [ZeroDivisionError, KeyboardInterrupt])
def test_nothing_stays_after_a_broken_iteration(tmp_path, error):
    model = build('classification', num_modules=3)
    hook = memory_profile_hook.MemoryProfileHook()
    runner = make_runner(model, tmp_path, custom_hooks=[hook])
    loss = model.local_aux[1].loss
    losses = iter([loss, Mock(side_effect=error)])
    model.local_aux[1].loss = lambda *args: next(losses)(*args)
    resize = torch.UntypedStorage.resize_
    with pytest.raises(error):
        runner.train()
    assert _get_current_dispatch_mode() is None
    assert torch.UntypedStorage.resize_ is resize
    assert model.learner.on_module is None
    # The same Runner goes on.
    model.local_aux[1].loss = loss
    runner.train()
    assert len(scalars(runner)['train/peak_mib'].data[0]) == 1
    assert _get_current_dispatch_mode() is None
