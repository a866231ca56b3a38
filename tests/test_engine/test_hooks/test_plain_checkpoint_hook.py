# Copyright (c) mmfba authors.
import copy
import os
import os.path as osp
import pickle
from collections import OrderedDict

import numpy as np
import pytest
import torch
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.logging import HistoryBuffer
from mmengine.registry import METRICS
from mmengine.testing import RunnerTestCase

from mmfba.engine.checkpoint_files import checkpoint_loading
from mmfba.engine.hooks.plain_checkpoint_hook import (
    PlainCheckpointHook,
)

RUN_TIMES = ('train/time', 'train/data_time', 'val/time', 'val/data_time')


class NumpyMetric(BaseMetric):
    """Returns what NumPy-based metrics return."""

    def process(self, data_batch, data_samples):
        self.results.append(1)

    def compute_metrics(self, results):
        return dict(
            acc=np.float32(0.5),
            matrix=np.eye(2),
            classwise=dict(a=np.float64(0.1), names=np.array(['a', 'b'])),
        )


class RecordHook(Hook):
    """Keeps what LoggerHook would log after every iteration."""

    def __init__(self):
        self.tags = dict()

    def after_train_iter(self, runner, batch_idx, **kwargs):
        processor = runner.log_processor
        tag, _ = processor.get_log_after_iter(runner, batch_idx, 'train')
        keys = ('loss', 'lr', 'smooth', 'total')
        self.tags[runner.iter] = {k: tag[k] for k in keys}


class TestPlainCheckpointHook(RunnerTestCase):
    def setUp(self):
        super().setUp()
        METRICS.register_module(module=NumpyMetric, force=True)

    def tearDown(self):
        METRICS.module_dict.pop('NumpyMetric', None)
        super().tearDown()

    def _runner(self, base, name, *hooks, plain=True, **kwargs):
        cfg = copy.deepcopy(base)
        cfg.work_dir = osp.join(self.temp_dir.name, name)
        cfg.randomness = dict(seed=0)
        cfg.val_evaluator = [dict(type='NumpyMetric')]
        by_epoch = base is self.epoch_based_cfg
        # The windows reach back over the point of the resume.
        smooth = dict(data_src='loss', method_name='mean', log_name='smooth')
        smooth['window_size'] = 4 if by_epoch else 8
        total = dict(smooth, log_name='total', window_size='global')
        cfg.log_processor = dict(by_epoch=by_epoch, custom_cfg=[smooth, total])
        cfg.default_hooks.checkpoint = dict(
            type='CheckpointHook',
            interval=1 if by_epoch else 6,
            by_epoch=by_epoch,
            save_best='acc',
        )
        if plain:
            cfg.default_hooks.plain_checkpoint = dict(
                type='mmfba.PlainCheckpointHook'
            )
        cfg.custom_hooks = list(hooks)
        cfg.merge_from_dict(kwargs)
        return self.build_runner(cfg)

    def _resumed_equals_uninterrupted(self, base, checkpoint, **kwargs):
        runs = []
        for name in ('full', 'resumed'):
            if name == 'resumed':
                path = osp.join(self.temp_dir.name, 'full', checkpoint)
                kwargs.update(resume=True, load_from=path)
            record = RecordHook()
            runner = self._runner(base, name, dict(type='EMAHook'), **kwargs)
            runner.register_hook(record)
            runner.train()
            runs.append((runner, record))
        (full, want), (resumed, got) = runs

        steps = sorted(want.tags)
        assert sorted(got.tags) == steps[len(steps) // 2 :]
        assert got.tags.items() <= want.tags.items()
        scalars = resumed.message_hub.log_scalars
        assert set(scalars) == set(full.message_hub.log_scalars)
        for key, buffer in full.message_hub.log_scalars.items():
            assert isinstance(scalars[key], HistoryBuffer)
            assert scalars[key].max_length == buffer.max_length
            assert len(buffer.data) == len(scalars[key].data)
            for a, b in zip(buffer.data, scalars[key].data):
                assert (a.dtype, len(a)) == (b.dtype, len(b))
                if key not in RUN_TIMES:
                    np.testing.assert_array_equal(a, b)
        state = resumed.model.state_dict()
        for key, value in full.model.state_dict().items():
            assert torch.equal(value, state[key])
        return full

    def _load(self, *path):
        full_path = osp.join(self.temp_dir.name, *path)
        return torch.load(full_path, weights_only=True)

    def test_epoch_based_with_ema_and_best(self):
        full = self._resumed_equals_uninterrupted(
            self.epoch_based_cfg,
            'epoch_1.pth',
            param_scheduler=[dict(type='MultiStepLR', milestones=[1])],
        )

        # EMAHook's swap of weights is in the file.
        checkpoint = self._load('full', 'epoch_2.pth')
        key = 'linear1.weight'
        weight = full.model.state_dict()[key]
        ema = checkpoint['ema_state_dict'][f'module.{key}']
        assert torch.equal(ema, weight)
        assert not torch.equal(checkpoint['state_dict'][key], weight)
        self._load('full', 'best_acc_epoch_1.pth')
        info = checkpoint['message_hub']['runtime_info']
        assert type(info['best_score']) is float
        assert torch.equal(info['val/matrix'], torch.eye(2).double())
        assert info['val/classwise'] == dict(a=0.1, names=['a', 'b'])

    def test_iter_based(self):
        # OneCycleLR keeps a function, which a plain file cannot.
        one_cycle = dict(type='OneCycleLR', eta_max=0.2, by_epoch=False)
        self._resumed_equals_uninterrupted(
            self.iter_based_cfg,
            'iter_6.pth',
            param_scheduler=[dict(one_cycle, total_steps=12)],
        )

    def test_live_objects_stay_as_they_are(self):
        runner = self._runner(self.epoch_based_cfg, 'live')
        runner.train()
        info = dict(score=np.float64(1), nested=[np.arange(2)])
        runner.message_hub.update_info('info', info)
        buffers = dict(runner.message_hub.log_scalars)
        runner.save_checkpoint(runner.work_dir, 'x.pth')

        assert runner.message_hub.get_info('info') is info
        kinds = type(info['score']), type(info['nested'][0])
        assert kinds == (np.float64, np.ndarray)
        for key, buffer in buffers.items():
            assert runner.message_hub.get_scalar(key) is buffer
            assert isinstance(buffer.data[0], np.ndarray)

    def test_a_hook_less_runner_resumes_without_history(self):
        self._runner(self.epoch_based_cfg, 'with').train()
        path = osp.join(self.temp_dir.name, 'with', 'epoch_1.pth')
        kwargs = dict(plain=False, resume=True, load_from=path)
        runner = self._runner(self.epoch_based_cfg, 'without', **kwargs)
        runner.train()
        assert runner.epoch == 2
        assert self._num_losses(runner) == 4

    @staticmethod
    def _num_losses(runner):
        return len(runner.message_hub.get_scalar('train/loss').data[0])

    def test_stock_files_need_trust(self):
        self._runner(self.epoch_based_cfg, 'stock', plain=False).train()
        path = osp.join(self.temp_dir.name, 'stock', 'epoch_1.pth')
        kwargs = dict(resume=True, load_from=path)
        runner = self._runner(self.epoch_based_cfg, 'refused', **kwargs)
        with pytest.raises(SystemExit) as caught, checkpoint_loading():
            runner.train()
        assert '--trust-checkpoint' in str(caught.value)
        assert 'HistoryBuffer' in str(caught.value)

        runner = self._runner(self.epoch_based_cfg, 'trusted', **kwargs)
        with checkpoint_loading(trust=True):
            runner.train()
        assert not [name for name in os.environ if 'WEIGHTS_ONLY' in name]
        assert self._num_losses(runner) == 8
        self._load('trusted', 'epoch_2.pth')


def _save(**kwargs):
    checkpoint = dict(kwargs)
    PlainCheckpointHook().before_save_checkpoint(None, checkpoint)
    return checkpoint


def test_plain_objects_are_not_copied():
    state = OrderedDict(weight=torch.ones(2), extra=[1, ('a', None)])
    state._metadata = OrderedDict(version=1)
    assert _save(state_dict=state)['state_dict'] is state

    state['extra'] = np.int64(3)
    saved = _save(state_dict=state)['state_dict']
    assert saved == dict(weight=state['weight'], extra=3)
    assert saved._metadata == state._metadata
    assert saved['weight'] is state['weight']


MIXED = {np.int64(1): (np.float32(0.5), [1]), 'a': np.array([1, None])}
PLAIN = {1: (0.5, [1]), 'a': [1, None]}


@pytest.mark.parametrize(
    'value, plain',
    [(np.bool_(True), True), (np.str_('a'), 'a'), (MIXED, PLAIN)],
)
def test_conversion(value, plain, tmp_path):
    torch.save(_save(meta=value), tmp_path / 'x.pth')
    assert torch.load(tmp_path / 'x.pth', weights_only=True)['meta'] == plain


def test_sets_stay(tmp_path):
    torch.save({1}, tmp_path / 'set.pth')
    try:
        torch.load(tmp_path / 'set.pth', weights_only=True)
    except pickle.UnpicklingError:
        pytest.skip('this torch reads no sets')
    torch.save(_save(meta={np.int64(1)}), tmp_path / 'x.pth')
    assert torch.load(tmp_path / 'x.pth', weights_only=True)['meta'] == {1}


@pytest.mark.parametrize(
    'value',
    [len, np.datetime64('2020-01-01'), np.longdouble(1), frozenset()],
)
def test_what_is_not_plain_is_named(value):
    with pytest.raises(TypeError) as caught:
        _save(meta=dict(a=[0, dict(b=value)]))
    assert "checkpoint['meta']['a'][1]['b']" in str(caught.value)


@pytest.mark.parametrize(
    'checkpoint',
    [
        dict(state_dict={}),
        dict(message_hub=object()),
        dict(message_hub=dict(log_scalars=dict(loss=HistoryBuffer([1], [1])))),
    ],
)
def test_other_layouts_load_unchanged(checkpoint):
    loaded = copy.copy(checkpoint)
    PlainCheckpointHook().after_load_checkpoint(None, loaded)
    assert loaded == checkpoint
