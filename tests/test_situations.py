# Copyright (c) mmfba authors.
"""Each of situations.py on a stock config, beside the same made local.

With K=1 the whole training must give what the stock one gives, bit for bit:
weights, optimizer, averaged weights, logs, metrics. With K=2 it must give what
upstream's own wrapper makes of the sum of all losses.
"""

import copy
import functools
import json
import os
from uuid import uuid4

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import EMAHook, Hook
from mmengine.optim.optimizer import amp_optimizer_wrapper
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from mmengine.runner import runner as runner_module
from situations import NARROW, ROWS, TTA
from tiny_configs import CLASSIFICATION, DETECTION, EDITING, localised
from tiny_data import write_cifar10, write_coco, write_div2k

TASKS = dict(
    det=('detection', DETECTION),
    cls=('classification', CLASSIFICATION),
    edit=('super-resolution', EDITING),
)
AMP = {
    'OptimWrapper': 'AmpOptimWrapper',
    'mmfba.LocalLearningOptimWrapper': 'mmfba.AmpLocalLearningOptimWrapper',
}
TRAINING = (
    'train_cfg',
    'train_dataloader',
    'optim_wrapper',
    'param_scheduler',
)


@HOOKS.register_module()
class Recorder(Hook):
    """Writes down what hooks of users get to see, and in which order."""

    seen = []

    def _note(self, event, runner, outputs=None):
        loss = None if outputs is None else float(outputs['loss'])
        grads = sum(
            p.grad is not None
            for n, p in runner.model.named_parameters()
            if not n.startswith('local_aux')
        )
        lr = runner.optim_wrapper.get_lr()['lr'][0]
        self.seen.append((self.priority, event, runner.iter, lr, loss, grads))

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self._note('before', runner)

    def after_train_iter(
        self, runner, batch_idx, data_batch=None, outputs=None
    ):
        self._note('after', runner, outputs)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Data, and the stock and local config file of each task."""
    root = tmp_path_factory.mktemp('situations')
    write_coco(root / 'data/coco', num_train=6)
    write_cifar10(root / 'data/cifar10', num_train=15)
    write_div2k(root / 'data', num=6)
    annotations = root / 'data/coco/annotations'
    coco = json.loads((annotations / 'instances_train2017.json').read_text())
    coco['annotations'] = [
        box for box in coco['annotations'] if box['image_id'] == 1
    ]
    (annotations / 'empty.json').write_text(json.dumps(coco))
    return root


@pytest.fixture(scope='module')
def configs(folder):
    """Stock and local config by task."""
    find = functools.lru_cache(maxsize=None)(Config._get_cfg_path)
    with pytest.MonkeyPatch.context() as patch:
        # mmengine reads all metafiles of a library for each base in it.
        patch.setattr(Config, '_get_cfg_path', staticmethod(find))
        return _configs(folder)


def _configs(folder):
    found = {}
    for task, (name, text) in TASKS.items():
        files = [folder / f'{task}.py', folder / f'local_{task}.py']
        files[0].write_text(text)
        files[1].write_text(localised(name, files[0].name))
        found[task] = [Config.fromfile(file) for file in files]
        for cfg in found[task]:
            cfg.merge_from_dict(NARROW[task])
            cfg.log_level = 'ERROR'
            for split in ('train', 'val', 'test'):
                loaders = cfg[f'{split}_dataloader']
                for x in loaders if isinstance(loaders, list) else [loaders]:
                    x.dataset.serialize_data = False  # collects all garbage
            cfg.randomness = dict(seed=0)
    return found


@pytest.fixture(autouse=True)
def quick(folder, monkeypatch):
    """Without what a Runner asks the machine, in the folder of the data."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(runner_module, 'collect_env', dict)
    monkeypatch.setattr(Config, 'pretty_text', '')
    monkeypatch.setattr(
        amp_optimizer_wrapper, 'is_cuda_available', lambda: True
    )
    before = [
        torch.backends.cudnn.deterministic,
        torch.backends.cudnn.benchmark,
    ]
    yield
    torch.use_deterministic_algorithms(False)
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = before


def make_runner(cfg, work_dir, changes, num_modules=None):
    cfg, changes = copy.deepcopy(cfg), copy.deepcopy(changes)
    wrap = changes.pop('wrap', None)
    cfg.merge_from_dict(changes)
    if wrap:
        dataset = cfg.train_dataloader.dataset
        cfg.train_dataloader.dataset = dict(wrap, dataset=dataset)
    if cfg.get('optim_wrapper', {}).pop('amp', False):
        kind = cfg.optim_wrapper.get('type', 'OptimWrapper')
        cfg.optim_wrapper.type = AMP[kind]
    if num_modules:
        cfg.model.local_learning.num_modules = num_modules
    cfg.work_dir = str(work_dir)
    cfg.experiment_name = f'{work_dir.name}_{uuid4()}'
    return Runner.from_cfg(cfg)


def outcome(runner):
    """All that a training leaves behind, local weights aside."""
    values = dict(runner.model.state_dict(), end=runner.iter, e=runner.epoch)
    for hook in runner.hooks:
        if isinstance(hook, EMAHook):
            averaged = hook.ema_model.state_dict()
            values.update({f'averaged {k}': v for k, v in averaged.items()})
    for i, state in runner.optim_wrapper.state_dict()['state'].items():
        values.update({f'optimizer {i} {k}': v for k, v in state.items()})
    for name, buffer in runner.message_hub.log_scalars.items():
        if 'time' not in name:
            values[f'log {name}'] = buffer.data[0]
    files = sorted(f for f in os.listdir(runner.work_dir) if '.pth' in f)
    return values, files


def trained(cfg, work_dir, changes, num_modules=None):
    """What a training leaves behind."""
    runner = make_runner(cfg, work_dir, changes, num_modules)
    runner.train()
    return outcome(runner)


def assert_same(local, stock):
    """All that the stock training left is there, and equal."""
    (values, files), (expected, expected_files) = local, stock
    for key, value in expected.items():
        value, found = torch.as_tensor(value), torch.as_tensor(values[key])
        torch.testing.assert_close(
            found,
            value,
            rtol=0,
            atol=0,
            equal_nan=True,
            msg=lambda text, key=key: f'{key}: {text}',
        )
    assert files == expected_files and files


@pytest.mark.parametrize('name', ROWS)
def test_one_module_is_the_stock_training(name, configs, tmp_path):
    task, changes = ROWS[name]
    ends, seen = [], []
    for cfg, num_modules in zip(configs[task], (None, 1)):
        Recorder.seen = []
        work_dir = tmp_path / f'{num_modules}'
        ends.append(trained(cfg, work_dir, changes, num_modules))
        seen.append(Recorder.seen)
    assert_same(ends[1], ends[0])
    assert seen[0] == seen[1] and bool(seen[0]) == (name == 'hooks')
    assert ends[0][0]['end'] > 1


@pytest.mark.parametrize('name', ROWS)
def test_two_modules_train_as_with_summed_losses(name, configs, tmp_path):
    """One backward of the sum, with upstream's wrapper, is the reference."""
    task, changes = ROWS[name]
    cfg = configs[task][1]
    summed = copy.deepcopy(cfg)
    summed.model.local_learning.backward = 'summed'
    summed.optim_wrapper.type = 'OptimWrapper'
    weights = []
    for way in (cfg, summed):
        runner = make_runner(way, tmp_path / f'{name}_2', changes, 2)
        runner.model.init_weights()
        before = copy.deepcopy(dict(runner.model.named_parameters()))
        runner.train()
        weights.append(dict(runner.model.named_parameters()))
    part = 0
    for key, begun in before.items():
        moved, expected = (w[key] - begun for w in weights)
        assert bool(moved.any()) == begun.requires_grad, key
        if begun.requires_grad:
            error = (moved - expected).norm() / expected.norm()
            assert error < (0.2 if name == 'amp' else 0.01), key
            part += key.startswith('local_aux')
    assert part


@pytest.mark.parametrize('task', ['det', 'cls'])
def test_resume_and_a_stock_checkpoint(task, configs, tmp_path):
    """Of the stock training come the checkpoint and the figures."""
    stock, local = configs[task]
    plain = dict(type='mmfba.PlainCheckpointHook')
    changes = {
        'default_hooks.plain_checkpoint': plain,
        'train_cfg.val_begin': 1,
    }
    trained(stock, tmp_path / 'stock', changes)
    trained(local, tmp_path / 'local', changes, 1)
    changes.update({'resume': True, 'train_cfg.max_epochs': 2})
    longer = trained(stock, tmp_path / 'stock', changes)
    assert longer[0]['e'] == 2
    assert_same(trained(local, tmp_path / 'local', changes, 1), longer)

    begin = dict(load_from=str(tmp_path / 'stock/epoch_1.pth'))
    fine_tuned = trained(stock, tmp_path / 'stock_from', begin)
    assert_same(trained(local, tmp_path / 'from', begin, 1), fine_tuned)

    # Where nothing is trained MMEngine's hook does not find its folder.
    begin['default_hooks.checkpoint.save_best'] = None
    figures = []
    for cfg, num_modules in ((stock, None), (local, 2)):
        cfg = copy.deepcopy(cfg)
        for key in TRAINING:
            cfg.pop(key, None)
        figures.append(
            [
                make_runner(cfg, tmp_path / 'val', begin, num_modules).val(),
                make_runner(cfg, tmp_path / 'test', begin, num_modules).test(),
            ]
        )
        tta_model, pipeline = TTA[task]
        cfg.model = dict(tta_model, module=cfg.model)
        cfg.test_dataloader.dataset.pipeline = pipeline
        figures[-1].append(make_runner(cfg, tmp_path / 'tta', begin).test())
    assert figures[0] == figures[1] and all(figures[0])


def test_several_optimizers_are_refused_before_training(configs, tmp_path):
    one = dict(
        type='mmfba.LocalLearningOptimWrapper',
        optimizer=dict(type='Adam', lr=1e-4),
    )
    several = dict(
        optim_wrapper=dict(
            _delete_=True,
            constructor='MultiOptimWrapperConstructor',
            generator=one,
            local_aux=one,
        )
    )
    runner = make_runner(configs['edit'][1], tmp_path / 'several', several, 2)
    with pytest.raises(TypeError, match="^optim_wrapper.*'OptimWrapperDict'"):
        runner.train()
    assert runner.iter == 0
