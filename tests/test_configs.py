# Copyright (c) mmfba authors.
"""Every config builds; one of each task is trained, resumed and tested."""

import json
import logging
import math
from pathlib import Path

import mmdet
import numpy as np
import pytest
import torch
import yaml
from mmcv.transforms import Compose
from mmengine.config import Config
from mmengine.registry import (
    MODELS,
    PARAM_SCHEDULERS,
    DefaultScope,
    init_default_scope,
)
from mmengine.runner import Runner
from run_tool import ROOT, run_tool
from tiny_data import write_div2k, write_fashion_mnist

CONFIGS = sorted((ROOT / 'configs').glob('[!_]*/*.py'))
LOCAL = [path for path in CONFIGS if path.parent.name != 'bp']


def _build(cfg):
    pytest.importorskip(cfg.default_scope)
    DefaultScope._instance_dict.clear()
    init_default_scope(cfg.default_scope)
    logging.disable(logging.WARNING)
    if 'data_preprocessor' in cfg:  # as the Runner does
        cfg.model.setdefault('data_preprocessor', cfg.data_preprocessor)
    try:
        return MODELS.build(cfg.model)
    finally:
        logging.disable(logging.NOTSET)


@pytest.mark.parametrize('path', CONFIGS, ids=lambda p: p.stem)
def test_config_builds(path, monkeypatch):
    # No values are looked at, and some networks have many.
    monkeypatch.setattr(torch.nn.init, 'kaiming_uniform_', lambda t, **_: t)
    cfg = Config.fromfile(path)
    if path in LOCAL:
        cfg.merge_from_dict({'model.local_learning.backward': 'summed'})
    model = _build(cfg)
    if path in LOCAL:
        method, modules = path.stem.split('_')[0].split('-k')
        assert method.split('-')[0] == path.parent.name
        assert model.learner.num_modules == int(modules)
        assert model.learner.backward == 'summed'
        assert cfg.default_hooks.feature_bank.type == 'mmfba.FeatureBankHook'


@pytest.mark.parametrize('path', CONFIGS, ids=lambda p: p.stem)
def test_leaf_is_short(path):
    lines = [
        line
        for line in path.read_text().splitlines()
        if line.strip() and not line.lstrip().startswith('#')
    ]
    assert lines[0].startswith('_base_')
    assert len(lines) - 1 <= 15


def test_metafiles_and_readmes_name_every_config():
    index = yaml.safe_load((ROOT / 'model-index.yml').read_text())['Import']
    folders = sorted({path.parent for path in LOCAL})
    assert index == [
        f'configs/{folder.name}/metafile.yml' for folder in folders
    ]
    for folder in folders:
        meta = yaml.safe_load((folder / 'metafile.yml').read_text())
        (collection,) = meta['Collections']
        assert (ROOT / collection['README']).parent == folder
        assert collection['Paper']['URL'] in (folder / 'README.md').read_text()
        paths = [path for path in LOCAL if path.parent == folder]
        assert [ROOT / model['Config'] for model in meta['Models']] == paths
        for path, model in zip(paths, meta['Models']):
            assert model['Name'] == path.stem
            assert model['In Collection'] == collection['Name']
            assert path.stem in (folder / 'README.md').read_text()


LITERATURE = [
    ROOT / f'configs/bp/resnet32_{name}.py'
    for name in ('1xb1024-400e_cifar10', '1xb1024-400e_svhn')
] + [ROOT / 'configs/bp/resnet32_1xb128-400e_stl10.py']


@pytest.mark.parametrize('path', LITERATURE, ids=lambda p: p.stem)
def test_learning_rate_is_the_literatures(path):
    cfg = Config.fromfile(path)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        settings = dict(cfg.optim_wrapper.optimizer)
        assert settings.pop('type') == 'SGD'
        peak = settings['lr']
        param = torch.nn.Parameter(torch.zeros(1))
        optimizer = torch.optim.SGD([param], **settings)
        schedulers = [
            PARAM_SCHEDULERS.build(dict(part, optimizer=optimizer))
            for part in cfg.param_scheduler
        ]
    for epoch in range(1, 401):
        expected = 0.5 * peak * (1 + math.cos(math.pi * epoch / 400))
        if epoch <= 10:
            expected = expected * (epoch - 1) + 0.01 * (11 - epoch)
            expected /= 10
        # The cosine is an epoch late.
        lr = optimizer.param_groups[0]['lr']
        assert lr == pytest.approx(expected, abs=0.004 * peak)
        optimizer.step()
        for scheduler in schedulers:
            scheduler.step()


def test_cifar10_is_padded_by_reflection():
    pipeline = Config.fromfile(LITERATURE[0]).train_pipeline
    rng = np.random.default_rng(0)
    image = rng.integers(1, 256, (32, 32, 3), dtype=np.uint8)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        transform = Compose(pipeline)
        for _ in range(10):
            sample = transform(dict(img=image, gt_label=0))
            assert sample['inputs'].shape == (3, 32, 32)
            assert sample['inputs'].min() > 0  # no zeros around


def _digit_scenes(root):
    run_tool(
        root.parent,
        'dataset_converters/digit_scenes.py --num-train 16 --num-val 4',
    )


def _photographs(root):
    write_div2k(root)
    (root / 'DIV2K').rename(root / 'photographs')
    valid = root / 'photographs/DIV2K_valid_LR_bicubic'
    valid.mkdir()
    for new, old in (
        ('DIV2K_valid_HR', 'GTmod12'),
        ('DIV2K_valid_LR_bicubic/X2', 'LRbicx2'),
    ):
        (root / 'Set5' / old).rename(root / 'photographs' / new)
    for file in (valid / 'X2').iterdir():
        file.rename(file.with_stem(f'{file.stem}x2'))


TASKS = {
    'fba-k16_resnet32_1xb128-2e_fashion-mnist': (
        lambda root: write_fashion_mnist(root / 'fashion_mnist'),
        'train_cfg.max_epochs={} train_dataloader.batch_size=4 '
        'default_hooks.checkpoint.interval=1',
        'resumed epoch: 1, iter: 2',
        'test_dataloader.num_workers=0 '
        'test_dataloader.persistent_workers=False',
    ),
    'fba-k4_retinanet_r18-w32_fpn_1xb8-6e_digit-scenes': (
        _digit_scenes,
        'train_cfg.max_epochs={} train_dataloader.batch_size=8 '
        'model.test_cfg.score_thr=0.0',
        'resumed epoch: 1, iter: 2',
        'test_dataloader.num_workers=0 '
        'test_dataloader.persistent_workers=False '
        'model.test_cfg.score_thr=0.0',
    ),
    'fba-k4_edsr_x2c64b16_1xb16-2k_photographs': (
        _photographs,
        'train_cfg.max_iters={} train_dataloader.batch_size=2 '
        'model.generator.mid_channels=8 default_hooks.checkpoint.interval=1',
        'resumed epoch: 0, iter: 1',
        'model.generator.mid_channels=8',
    ),
}


@pytest.mark.parametrize('name', TASKS)
def test_train_resume_and_test_on_tiny_data(name, tmp_path):
    write, options, resumed, test_options = TASKS[name]
    write(tmp_path / 'data')
    config, work = f'{ROOT}/configs/fba/{name}.py', tmp_path / 'work'
    command = (
        f'train.py {config} --work-dir work --cfg-options '
        'train_dataloader.num_workers=0 val_dataloader.num_workers=0 '
        'train_dataloader.persistent_workers=False '
        'val_dataloader.persistent_workers=False '
        f'default_hooks.logger.interval=1 {options}'
    )
    out = run_tool(tmp_path, command.format(1))
    assert 'Local learning, K=' in out and 'aux0/' in out
    assert 'bank_mib' in out
    out = run_tool(tmp_path, command.format(2) + ' --resume')
    assert resumed in out

    last = (work / 'last_checkpoint').read_text()
    state = torch.load(last, weights_only=True)['state_dict']
    stock = Config.fromfile(ROOT / 'configs/bp' / _stock_name(name))
    if 'edsr' in name:
        stock.model.generator.mid_channels = 8
    _build(stock).load_state_dict(
        {k: v for k, v in state.items() if not k.startswith('local_aux.')},
        strict=True,
    )

    if 'retinanet' in name:  # mmdet's own tool runs it too, unchanged
        stock_tool = Path(mmdet.__file__).parent / '.mim/tools/train.py'
        stock = command.replace('train.py', str(stock_tool), 1)
        out = run_tool(tmp_path, stock.format(3) + ' --resume')
        assert 'resumed epoch: 2, iter: 4' in out

    out = run_tool(
        tmp_path,
        f'test.py {config} {last} --work-dir test --cfg-options '
        + test_options,
    )
    assert any(
        metric in out for metric in ('accuracy/top1', 'bbox_mAP_50', 'PSNR')
    )


def _stock_name(name):
    return name.split('_', 1)[1] + '.py'


def _div2k(root, scale):
    """DIV2K with its validation set, as ``data`` in ``root``."""
    write_div2k(root, scale)
    valid = root / 'DIV2K/DIV2K_valid_LR_bicubic'
    valid.mkdir(exist_ok=True)
    low = valid / f'X{scale}'
    (root / f'Set5/LRbicx{scale}').rename(low)
    for file in low.iterdir():
        file.rename(file.with_stem(f'{file.stem}x{scale}'))
    (root / 'Set5/GTmod12').rename(root / 'DIV2K/DIV2K_valid_HR')


def test_x4_starts_from_the_x2_network(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _div2k(tmp_path / 'data', scale=4)
    configs = {
        scale: Config.fromfile(
            ROOT
            / f'configs/fba/fba-k4_edsr_x{scale}c64b16_1xb16-300k_div2k.py'
        )
        for scale in (2, 4)
    }
    for cfg in configs.values():
        cfg.model.generator.mid_channels = 4
    cfg = configs[4]
    pipeline = cfg.train_dataloader.dataset.pipeline
    assert pipeline[3].gt_patch_size == 192
    pipeline[3].gt_patch_size = 32  # the tiny images have no more
    cfg.merge_from_dict(
        {
            'train_cfg.max_iters': 1,
            'train_cfg.val_interval': 1,
            'train_dataloader.num_workers': 0,
            'val_dataloader.num_workers': 0,
            'test_dataloader.0.num_workers': 0,
            'log_level': 'ERROR',
            'optim_wrapper.optimizer.lr': 0.0,
        }
    )
    x2 = _build(configs[2])
    path = Path(cfg.default_hooks.transfer.checkpoint)
    assert path == Path(configs[2].work_dir) / 'iter_300000.pth'
    path.parent.mkdir(parents=True)
    torch.save(dict(state_dict=x2.state_dict()), path)

    DefaultScope._instance_dict.clear()
    runner = Runner.from_cfg(cfg)
    runner.train()
    upsampler, taken = [], x2.generator.state_dict()
    for key, value in runner.model.generator.state_dict().items():
        if key.startswith('upsample'):
            upsampler.append(key in taken and value.equal(taken[key]))
        else:
            assert value.equal(taken[key]), key
    assert not all(upsampler)

    runner.test()
    (file,) = Path(runner.log_dir).glob('*.json')
    assert json.loads(file.read_text()).keys() >= {
        f'{color}/{metric}'
        for color in ('RGB', 'Y')
        for metric in ('PSNR', 'SSIM')
    }
