# Copyright (c) mmfba authors.
import json

import pytest
from local_models import build
from mmengine.hooks import Hook, LoggerHook
from tiny_runner import make_runner


class _Record(Hook):
    """Keeps what each step returned."""

    priority = 'VERY_HIGH'

    def __init__(self):
        self.steps = []

    def after_train_iter(self, runner, batch_idx, data_batch, outputs):
        self.steps.append({n: float(v) for n, v in outputs.items()})


def train(tmp_path, head=None, logged=3, **kwargs):
    """Four steps; what they returned, and what the log says after three."""
    model = build(
        'classification', plain_options=dict(head=head or {}), num_modules=3
    )
    record = _Record()
    runner = make_runner(
        model, tmp_path, epochs=2, custom_hooks=[record], **kwargs
    )
    (logger,) = (h for h in runner.hooks if isinstance(h, LoggerHook))
    logger.interval = 1
    runner.train()
    (path,) = tmp_path.glob('*/vis_data/scalars.json')
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return record.steps, next(x for x in lines if x['step'] == logged)


def mean(steps, name):
    values = [step[name] for step in steps]
    return pytest.approx(sum(values) / len(values), rel=1e-6)


def test_local_losses_are_averaged_as_the_main_loss(tmp_path):
    steps, log = train(tmp_path, head=dict(cal_acc=True))
    names = ('loss', 'aux0/total', 'aux1/total')
    for name in names:
        assert len({step[name] for step in steps}) == 4
        assert log[name] == mean(steps[:3], name), name
    # Neither is an accuracy averaged, nor what is summed changed.
    accuracies = [n for n in log if 'accuracy' in n]
    assert len(accuracies) == 3
    for name in accuracies:
        assert log[name] == pytest.approx(steps[2][name])


def test_window_of_the_users_log_processor_holds(tmp_path):
    steps, log = train(
        tmp_path, log_processor=dict(window_size=2, by_epoch=False)
    )
    for name in ('loss', 'aux0/total', 'aux1/total'):
        assert log[name] == mean(steps[1:3], name), name


def test_custom_treatment_of_the_loss_holds_for_local_losses(tmp_path):
    custom = [
        dict(data_src='loss', method_name='max', window_size='global'),
        dict(data_src='loss', log_name='x', method_name='min', window_size=1),
        dict(data_src='aux1/total', method_name='current'),
    ]
    steps, log = train(tmp_path, log_processor=dict(custom_cfg=custom))
    for name in ('loss', 'aux0/total'):
        largest = max(step[name] for step in steps[:3])
        assert log[name] == pytest.approx(largest, rel=1e-6)
    assert log['aux1/total'] == pytest.approx(steps[2]['aux1/total'])
    assert len(custom) == 3


def test_main_loss_that_is_not_averaged(tmp_path):
    steps, log = train(tmp_path, log_processor=dict(mean_pattern='time'))
    for name in ('loss', 'aux0/total'):
        assert log[name] == pytest.approx(steps[2][name], rel=1e-6)
