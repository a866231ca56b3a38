# Copyright (c) mmfba authors.
"""The predictions of the libraries are in test_tools/test_train_test.py."""

import json
from types import SimpleNamespace

import pytest
import torch
from local_models import build
from mmengine.evaluator import DumpResults, Evaluator

from mmfba.engine.dump_results import dump_results


def _runner(model, evaluator):
    hooks = []
    return SimpleNamespace(
        model=model,
        hooks=hooks,
        register_hook=lambda hook, priority: hooks.append(hook),
        test_loop=SimpleNamespace(evaluator=evaluator),
    )


def test_metrics_of_any_library(tmp_path):
    runner = _runner(build('classification'), Evaluator([]))
    dump_results(runner, str(tmp_path / 'm.json'), 'metrics')
    (hook,) = runner.hooks
    hook.after_test_epoch(runner, metrics={'accuracy/top1': 5.0})
    found = json.loads((tmp_path / 'm.json').read_text())
    assert found == {'accuracy/top1': 5.0}
    assert not runner.test_loop.evaluator.metrics


@pytest.mark.parametrize(
    'task, kind',
    [('classification', 'DumpResults'), ('detection', 'DumpDetResults')],
)
@pytest.mark.parametrize('options', [dict(), dict(num_modules=2)])
def test_the_predictions_of_the_library(task, kind, options):
    """Whatever wraps the model, and without a default scope."""
    model = torch.nn.Sequential(build(task, **options))
    runner = _runner(model, Evaluator([]))
    dump_results(runner, 'x.pkl')
    (metric,) = runner.test_loop.evaluator.metrics
    assert isinstance(metric, DumpResults) and type(metric).__name__ == kind


def test_a_loop_that_has_no_predictions():
    runner = _runner(torch.nn.Linear(1, 1), None)
    with pytest.raises(ValueError, match='--out x.pkl: .*--out-item metrics'):
        dump_results(runner, 'x.pkl', 'pred')
