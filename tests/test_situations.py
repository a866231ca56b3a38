# Copyright (c) mmfba authors.
"""What users do with a stock config, beside the same config made local.

Each row changes the stock config. With K=1 the whole training must give what
the stock one gives, bit for bit: weights, optimizer, averaged weights, logs,
metrics. With K=2 every parameter that is to be trained must move.
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
from tiny_configs import CLASSIFICATION, DETECTION, EDITING, localised
from tiny_data import write_cifar10, write_coco, write_div2k

TASKS = dict(det=DETECTION, cls=CLASSIFICATION, edit=EDITING)
NAMES = dict(det='detection', cls='classification', edit='super-resolution')
# Narrow, and three or four iterations an epoch.
NARROW = dict(
    det=dict(
        model=dict(
            backbone=dict(base_channels=8, frozen_stages=-1, norm_eval=False),
            neck=dict(in_channels=[8, 16, 32, 64], out_channels=32),
            bbox_head=dict(in_channels=32, feat_channels=32, stacked_convs=1),
        ),
        train_dataloader=dict(batch_size=2),
        # No warm-up, which would hardly move a weight.
        param_scheduler=[
            dict(type='MultiStepLR', by_epoch=True, milestones=[1])
        ],
        train_cfg=dict(val_begin=9),
    ),
    cls=dict(
        model=dict(
            backbone=dict(base_channels=8, stem_channels=8),
            head=dict(in_channels=64, topk=(1,)),
        ),
        train_dataloader=dict(batch_size=4, persistent_workers=False),
        val_dataloader=dict(persistent_workers=False),
        test_dataloader=dict(persistent_workers=False),
    ),
    edit=dict(train_dataloader=dict(persistent_workers=False)),
)
AMP = {
    'OptimWrapper': 'AmpOptimWrapper',
    'mmfba.LocalLearningOptimWrapper': 'mmfba.AmpLocalLearningOptimWrapper',
}


META = (
    'img_id',
    'img_path',
    'ori_shape',
    'img_shape',
    'scale_factor',
    'flip',
    'flip_direction',
)


def wrapper(**options):
    return dict(optim_wrapper=options)


def hooks(*custom):
    return dict(custom_hooks=list(custom))


ROWS = {
    'stock-det': ('det', dict(train_cfg=dict(val_begin=1))),
    'stock-cls': ('cls', dict()),
    'stock-edit': ('edit', dict()),
    'accumulation-det': ('det', wrapper(accumulative_counts=2)),
    'accumulation-cls': ('cls', wrapper(accumulative_counts=3)),
    'accumulation-edit': (
        'edit',
        wrapper(
            accumulative_counts=2,
            optimizer=dict(_delete_=True, type='SGD', lr=0.01),
        ),
    ),
    'amp': (
        'cls',
        wrapper(amp=True, dtype='bfloat16', accumulative_counts=2),
    ),
    'clip-norm': ('det', wrapper(clip_grad=dict(max_norm=0.1, norm_type=2))),
    'clip-value': (
        'cls',
        wrapper(clip_grad=dict(type='value', clip_value=1e-3)),
    ),
    'adamw-paramwise': (
        'det',
        wrapper(
            optimizer=dict(
                _delete_=True, type='AdamW', lr=1e-3, weight_decay=0.1
            ),
            paramwise_cfg=dict(
                norm_decay_mult=0.0,
                bias_lr_mult=2.0,
                custom_keys=dict(backbone=dict(lr_mult=0.1, decay_mult=0.5)),
            ),
        ),
    ),
    'ema': ('cls', hooks(dict(type='mmengine.EMAHook', momentum=0.1))),
    'ema-annealing-buffers': (
        'det',
        hooks(
            dict(
                type='mmengine.EMAHook',
                ema_type='MomentumAnnealingEMA',
                update_buffers=True,
                begin_iter=1,
            )
        ),
    ),
    'frozen': (
        'det',
        dict(model=dict(backbone=dict(frozen_stages=1, norm_eval=True))),
    ),
    'schedulers': (
        'cls',
        dict(
            param_scheduler=[
                dict(type='LinearLR', by_epoch=False, start_factor=0.1, end=2),
                dict(
                    type='CosineAnnealingLR',
                    T_max=2,
                    convert_to_iter_based=True,
                ),
                dict(
                    type='CosineAnnealingMomentum',
                    T_max=2,
                    eta_min=0.5,
                    by_epoch=True,
                ),
            ]
        ),
    ),
    'multi-scale': (
        'det',
        {
            'train_dataloader.dataset.pipeline.2': dict(
                type='RandomChoiceResize',
                scales=[(96, 64), (96, 80), (112, 96)],
                keep_ratio=True,
            )
        },
    ),
    'multi-scale-batch': (
        'det',
        {
            'model.data_preprocessor.batch_augments': [
                dict(
                    type='BatchSyncRandomResize',
                    random_size_range=(64, 128),
                    size_divisor=32,
                    interval=1,
                )
            ]
        },
    ),
    'empty-images': (
        'det',
        {
            'train_dataloader.dataset.filter_cfg.filter_empty_gt': False,
            'train_dataloader.dataset.ann_file': 'annotations/empty.json',
        },
    ),
    'mixup-cutmix': (
        'cls',
        {
            'model.train_cfg': dict(
                augments=[
                    dict(type='Mixup', alpha=0.8),
                    dict(type='CutMix', alpha=1.0),
                ]
            )
        },
    ),
    'class-balanced': (
        'det',
        dict(wrap=dict(type='ClassBalancedDataset', oversample_thr=0.3)),
    ),
    'repeat': ('cls', dict(wrap=dict(type='RepeatDataset', times=2))),
    'iter-based': (
        'cls',
        dict(
            train_cfg=dict(
                _delete_=True,
                type='IterBasedTrainLoop',
                max_iters=3,
                val_interval=2,
            ),
            param_scheduler=[
                dict(type='MultiStepLR', by_epoch=False, milestones=[1])
            ],
            train_dataloader=dict(
                sampler=dict(type='InfiniteSampler', shuffle=True)
            ),
            log_processor=dict(by_epoch=False),
        ),
    ),
    'early-stopping': (
        'cls',
        dict(
            train_cfg=dict(max_epochs=4),
            custom_hooks=[
                dict(
                    type='EarlyStoppingHook',
                    monitor='accuracy/top1',
                    min_delta=1e9,
                    patience=1,
                )
            ],
        ),
    ),
    'sampler': (
        'cls',
        dict(train_dataloader=dict(sampler=dict(type='RepeatAugSampler'))),
    ),
    'workers': (
        'cls',
        dict(
            train_cfg=dict(max_epochs=2),
            train_dataloader=dict(num_workers=2, persistent_workers=True),
        ),
    ),
    'randomness': (
        'cls',
        dict(
            randomness=dict(seed=7, deterministic=True, diff_rank_seed=True),
            env_cfg=dict(cudnn_benchmark=True),
        ),
    ),
    'hooks': (
        'cls',
        hooks(
            dict(type='Recorder', priority='VERY_HIGH'),
            dict(type='Recorder', priority='VERY_LOW'),
        ),
    ),
    'hooks-of-mmdet': (
        'det',
        hooks(
            dict(type='NumClassCheckHook'),
            dict(type='CheckInvalidLossHook', interval=1),
        ),
    ),
    'hooks-of-mmpretrain': (
        'cls',
        hooks(
            dict(type='ClassNumCheckHook'),
            dict(type='PreciseBNHook', num_samples=8, interval=1),
        ),
    ),
    'auto-scale-lr': (
        'cls',
        dict(auto_scale_lr=dict(enable=True, base_batch_size=16)),
    ),
    'keep-best': (
        'cls',
        dict(
            train_cfg=dict(max_epochs=2),
            default_hooks=dict(checkpoint=dict(max_keep_ckpts=1)),
        ),
    ),
}


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
    for task, text in TASKS.items():
        files = [folder / f'{task}.py', folder / f'local_{task}.py']
        files[0].write_text(text)
        files[1].write_text(localised(NAMES[task], files[0].name))
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
    hub = runner.message_hub
    results = {
        f'weight {name}': value
        for name, value in runner.model.state_dict().items()
        if not name.startswith('local_aux')
    }
    for hook in runner.hooks:
        if isinstance(hook, EMAHook):
            results.update(
                (f'ema {name}', value)
                for name, value in hook.ema_model.state_dict().items()
                if 'local_aux' not in name
            )
    results.update(
        (f'log {name}', torch.as_tensor(buffer.data[0]))
        for name, buffer in hub.log_scalars.items()
        if 'time' not in name
    )
    results['iterations'] = torch.tensor([runner.iter, runner.epoch])
    files = sorted(f for f in os.listdir(runner.work_dir) if '.pth' in f)
    return results, files


def trained(cfg, work_dir, changes, num_modules=None):
    runner = make_runner(cfg, work_dir, changes, num_modules)
    runner.train()
    return outcome(runner)


def assert_same(local, stock):
    for key, value in stock.items():
        torch.testing.assert_close(
            local[key],
            value,
            rtol=0,
            atol=0,
            equal_nan=True,
            msg=lambda text, key=key: f'{key}: {text}',
        )


@pytest.mark.parametrize('name', ROWS)
def test_one_module_is_the_stock_training(name, configs, tmp_path):
    task, changes = ROWS[name]
    ends, seen = [], []
    for cfg, num_modules in zip(configs[task], (None, 1)):
        Recorder.seen = []
        work_dir = tmp_path / f'{name}_{num_modules}'
        ends.append(trained(cfg, work_dir, changes, num_modules))
        seen.append(Recorder.seen)
    (stock, files), (local, local_files) = ends
    assert_same(local, stock)
    assert files == local_files and files
    assert seen[0] == seen[1] and bool(seen[0]) == (name == 'hooks')
    assert stock['iterations'][0] > 1


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


PLAIN = dict(
    default_hooks=dict(plain_checkpoint=dict(type='mmfba.PlainCheckpointHook'))
)
FLIPS = [dict(type='RandomFlip', prob=prob) for prob in (1.0, 0.0)]
TTA = dict(
    det=dict(
        tta_model=dict(
            type='DetTTAModel',
            tta_cfg=dict(
                nms=dict(type='nms', iou_threshold=0.5), max_per_img=100
            ),
        ),
        tta_pipeline=[
            dict(type='LoadImageFromFile'),
            dict(
                type='TestTimeAug',
                transforms=[
                    [
                        dict(type='Resize', scale=(96, 80), keep_ratio=True),
                        dict(type='Resize', scale=(128, 96), keep_ratio=True),
                    ],
                    FLIPS,
                    [dict(type='LoadAnnotations', with_bbox=True)],
                    [dict(type='PackDetInputs', meta_keys=META)],
                ],
            ),
        ],
    ),
    cls=dict(
        tta_model=dict(type='AverageClsScoreTTA'),
        tta_pipeline=[
            dict(
                type='TestTimeAug',
                transforms=[FLIPS, [dict(type='PackInputs')]],
            )
        ],
    ),
)


@pytest.mark.parametrize('task', ['det', 'cls'])
def test_resume_and_a_stock_checkpoint(task, configs, tmp_path):
    """Of the stock training come the checkpoint and the figures."""
    stock, local = configs[task]
    trained(stock, tmp_path / 'stock', PLAIN)
    trained(local, tmp_path / 'local', PLAIN, 1)
    checkpoint = str(tmp_path / 'stock/epoch_1.pth')
    longer = dict(PLAIN, resume=True, train_cfg=dict(max_epochs=2))
    again, _ = trained(stock, tmp_path / 'stock', longer)
    assert again['iterations'][1] == 2
    assert_same(trained(local, tmp_path / 'local', longer, 1)[0], again)

    begins = dict(load_from=checkpoint)
    fine_tuned, _ = trained(stock, tmp_path / 'stock_from', begins)
    assert_same(trained(local, tmp_path / 'from', begins, 1)[0], fine_tuned)

    no_training = dict.fromkeys(
        ('train_cfg', 'train_dataloader', 'optim_wrapper', 'param_scheduler')
    )
    # MMEngine's hook looks for what it knows of training only.
    begins['default_hooks'] = dict(checkpoint=dict(save_best=None))
    kept = [
        {k: v for k, v in cfg.items() if k not in no_training}
        for cfg in (stock, local)
    ]
    figures = []
    for cfg, num_modules in zip(kept, (None, 2)):
        cfg = Config(cfg)
        runner = make_runner(cfg, tmp_path / 'val', begins, num_modules)
        figures.append([runner.val()])
        runner = make_runner(cfg, tmp_path / 'test', begins, num_modules)
        figures[-1].append(runner.test())
        cfg = copy.deepcopy(cfg)
        cfg.model = dict(TTA[task]['tta_model'], module=cfg.model)
        cfg.test_dataloader.dataset.pipeline = TTA[task]['tta_pipeline']
        runner = make_runner(cfg, tmp_path / 'tta', begins)
        figures[-1].append(runner.test())
    assert figures[0] == figures[1] and all(figures[0])


def test_several_optimizers_are_refused_before_training(configs, tmp_path):
    several = dict(
        optim_wrapper=dict(
            _delete_=True,
            constructor='MultiOptimWrapperConstructor',
            generator=dict(
                type='mmfba.LocalLearningOptimWrapper',
                optimizer=dict(type='Adam', lr=1e-4),
            ),
            local_aux=dict(
                type='mmfba.LocalLearningOptimWrapper',
                optimizer=dict(type='Adam', lr=1e-3),
            ),
        )
    )
    runner = make_runner(configs['edit'][1], tmp_path / 'several', several, 2)
    with pytest.raises(TypeError, match="^optim_wrapper.*'OptimWrapperDict'"):
        runner.train()
    assert runner.iter == 0
