# Copyright (c) mmfba authors.
"""Every config builds; one of each task is trained, resumed and tested."""

import functools
import json
import logging
import math
import re
from pathlib import Path

import mmdet
import numpy as np
import pytest
import torch
import yaml
from fba_rule import breaks_the_rule
from mmcv.transforms import Compose
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import (
    MODELS,
    PARAM_SCHEDULERS,
    DefaultScope,
    init_default_scope,
)
from mmengine.runner import Runner
from mmpretrain.datasets import cifar
from run_tool import ROOT, run_tool
from tiny_data import (
    write_cifar10,
    write_coco,
    write_div2k,
    write_fashion_mnist,
    write_imagenet,
    write_stl10,
    write_svhn,
    write_voc,
)
from torchvision.datasets import stl10, svhn, utils

from mmfba.analysis.benchmark import ArmRun
from mmfba.local_config import complete
from mmfba.models.build_model import build_model
from mmfba.models.describe import made_of

CONFIGS = sorted((ROOT / 'configs').glob('[!_]*/*.py'))
LOCAL = [path for path in CONFIGS if path.parent.name != 'bp']


@pytest.fixture(autouse=True, scope='module')
def find_bases_once():
    """mmengine reads all metafiles of a library for each base in it."""
    with pytest.MonkeyPatch.context() as patch:
        find = functools.lru_cache(maxsize=None)(Config._get_cfg_path)
        patch.setattr(Config, '_get_cfg_path', staticmethod(find))
        yield


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
def test_config_parses(path):
    cfg = Config.fromfile(path)
    if path in LOCAL:
        method, modules = path.stem.split('_')[0].split('-k')
        assert method.split('-')[0] == path.parent.name.split('_')[0]
        local = cfg.model.local_learning
        assert local.get('num_modules', int(modules)) == int(modules)
        complete(cfg)
        assert cfg.optim_wrapper.type == 'mmfba.LocalLearningOptimWrapper'
        assert cfg.default_hooks.feature_bank.type == 'mmfba.FeatureBankHook'
    if cfg.default_scope == 'mmagic':  # its experiments have their own name
        assert path.stem in (cfg.experiment_name, Path(cfg.work_dir).name)


@pytest.mark.parametrize('path', CONFIGS, ids=lambda p: p.stem)
def test_leaf_is_short(path):
    lines = [
        line
        for line in path.read_text().splitlines()
        if line.strip() and not line.lstrip().startswith('#')
    ]
    assert lines[0].startswith('_base_')
    assert len(lines) - 1 <= 15


LONG = [p for p in CONFIGS if re.search(r'-(90|160|400)e_', p.stem)]


@pytest.mark.parametrize('path', LONG, ids=lambda p: p.stem)
def test_long_schedules_keep_few_checkpoints(path):
    cfg = Config.fromfile(path)
    assert cfg.default_hooks.checkpoint.max_keep_ckpts == 3


def test_metafiles_and_readmes_name_every_config():
    index = yaml.safe_load((ROOT / 'model-index.yml').read_text())['Import']
    folders = sorted({path.parent for path in CONFIGS})
    assert index == [
        f'configs/{folder.name}/metafile.yml' for folder in folders
    ]
    for folder in folders:
        meta = yaml.safe_load((folder / 'metafile.yml').read_text())
        (collection,) = meta['Collections']
        assert (ROOT / collection['README']).parent == folder
        assert collection['Paper']['URL'] in (folder / 'README.md').read_text()
        paths = [path for path in CONFIGS if path.parent == folder]
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


@pytest.mark.parametrize('epochs', [90, 160])
def test_learning_rate_of_detection(epochs):
    fba = ROOT / 'configs/fba'
    modules = {90: 4, 160: 17}[epochs]
    name = f'fba-k{modules}_retinanet_r34_fpn_1xb64-{epochs}e_coco'
    cfg = Config.fromfile(fba / f'{name}.py')
    assert cfg.train_cfg.max_epochs == epochs
    param = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([param], lr=1.0)
    with DefaultScope.overwrite_default_scope('mmdet'):
        schedulers = [
            PARAM_SCHEDULERS.build(dict(part, optimizer=optimizer))
            for part in cfg.param_scheduler
        ]
    rates = []  # of 600 iterations in the first epoch, one in the others
    for epoch in range(epochs):
        for _ in range(1 if epoch else 600):
            rates.append(optimizer.param_groups[0]['lr'])
            optimizer.step()
            for scheduler in schedulers[:2]:
                scheduler.step()
        schedulers[2].step()
    assert max(rates[:5]) < 1e-5 and rates[5] == pytest.approx(1e-3)
    assert rates[255] == pytest.approx(0.5, abs=0.01)
    assert rates[505:600] == pytest.approx([1.0] * 95, rel=1e-6)
    for epoch in (1, epochs // 2, epochs - 1):
        expected = 0.5 * (1 + math.cos(math.pi * epoch / epochs))
        assert rates[599 + epoch] == pytest.approx(expected, rel=1e-6)


PAPER = sorted((ROOT / 'configs/fba_paper').glob('*.py'))


@pytest.mark.parametrize('path', PAPER, ids=lambda p: p.stem)
def test_paper_recipe_only_changes_what_the_paper_says(path):
    cfg = Config.fromfile(path)
    name = path.name.replace('-s1', '').replace('-s2', '')
    name = name.replace('-own-head', '').replace('-plain', '')
    default = Config.fromfile(ROOT / f'configs/fba/{name}')
    auxiliary = cfg.model.local_learning.auxiliary
    if 'retinanet' in path.stem:
        neck = 'DGLFPN' if 'plain' in path.stem else 'SLMFPN'
        assert auxiliary.neck.type == f'mmfba.{neck}'
        assert auxiliary.neck.out_channels == cfg.model.neck.out_channels
    # s1's SLM ends at the width of the cut; copy is classification's default.
    narrow = 's1' in path.stem and re.search('resnet|yolov1', path.stem)
    if 'own-head' in path.stem or narrow:
        assert auxiliary.get('head', {}).get('mode', 'copy') == 'copy'
    else:
        assert auxiliary.head.mode == 'shared'
    if 'edsr' not in path.stem and 'plain' not in path.stem:
        mode = 'stage_tail' if 's1' in path.stem else 'stage_chain'
        assert auxiliary.neck.mode == mode
    if path.stem.endswith('_coco'):
        assert cfg.optim_wrapper.optimizer.lr == 1e-4
        cfg.optim_wrapper.optimizer.lr = default.optim_wrapper.optimizer.lr
    assert cfg.model.local_learning.get('loss_weight', 1.0) == 1.0
    # Apart from these all is the default's.
    for key in ('taps', 'auxiliary', 'partition', 'loss_weight'):
        for local in (cfg, default):
            local.model.local_learning.pop(key, None)
    names = {'fba', 'paper', 'recipe', 'experiment_name', 'work_dir', 'x2'}
    names |= {'load_from'}
    assert {k: v for k, v in cfg.to_dict().items() if k not in names} == {
        k: v for k, v in default.to_dict().items() if k not in names
    }


NAMED_FBA = sorted((ROOT / 'configs').glob('fba*/*.py'))


@pytest.mark.parametrize(
    'path',
    [
        pytest.param(
            path,
            id=path.stem,
            marks=()
            if re.search('fashion-mnist|photographs|digit-scenes', path.stem)
            else pytest.mark.slow,
        )
        for path in NAMED_FBA
    ],
)
def test_what_is_called_fba_has_an_slm_and_reads_the_bank(path):
    cfg = Config.fromfile(path)
    with torch.device('meta' if cfg.default_scope == 'mmdet' else 'cpu'):
        parts = made_of(build_model(cfg))
    assert not breaks_the_rule(str(path), parts)


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


DATA = {
    'cifar10': lambda root: write_cifar10(root / 'cifar10'),
    'svhn': lambda root: write_svhn(root / 'svhn'),
    'stl10': lambda root: write_stl10(root / 'stl10'),
    'fashion-mnist': lambda root: write_fashion_mnist(root / 'fashion_mnist'),
    'in1k': lambda root: write_imagenet(root / 'imagenet'),
    'coco': lambda root: write_coco(root / 'coco'),
    'voc07': lambda root: write_voc(root / 'VOCdevkit'),
    'voc0712': lambda root: write_voc(root / 'VOCdevkit'),
    'digit-scenes': _digit_scenes,
    'photographs': _photographs,
}
"""Writers by the last part of a config's name."""

FAMILIES = [
    'fba/fba-k16_resnet32_1xb1024-400e_cifar10',
    'fba/fba-k16_resnet32_1xb1024-400e_svhn',
    'fba/fba-k16_resnet32_1xb128-400e_stl10',
    'fba/fba-k4_resnet50_8xb32_in1k',
    'fba/fba-k17_retinanet_r34_fpn_1xb64-90e_voc07',
    'fba/fba-k4_yolov1_r34_1xb32-90e_coco',
    'fba/fba-k4_edsr_x2c64b16_1xb16-300k_div2k',
    'fba_paper/fba-s1-k4_retinanet_r34_fpn_1xb64-90e_coco',
    'bp/retinanet_r18-w32_fpn_1xb8-6e_digit-scenes',
    'auglocal/auglocal-d2-k14_resnet32_1xb128-2e_fashion-mnist',
    'dgl/dgl-auglocal-k16_resnet32_1xb128-2e_fashion-mnist',
    'dgl/dgl-fpn-k4_retinanet_r18-w32_fpn_1xb8-6e_digit-scenes',
    'greedy/greedy-k4_edsr_x2c64b16_1xb16-2k_photographs',
    'infopro/infopro-ce-k16_resnet32_1xb128-2e_fashion-mnist',
    'man/man-dgl-k16_resnet32_1xb128-2e_fashion-mnist',
    'predsim/predsim-k16_resnet32_1xb128-2e_fashion-mnist',
]
PREDICTIONS = dict(
    mmpretrain='pred_score', mmdet='pred_instances', mmagic='output'
)
LARGE = 2e8
"""Parameters of a network that has all its modules on the meta device only,
and two of them on data."""


@pytest.fixture(scope='session')
def data(tmp_path_factory):
    """The folder of a config's tiny data, written once."""
    folders = {}

    def folder(cfg, name):
        kind = name.split('_')[-1]
        if kind == 'div2k':
            kind = f'div2k_x{cfg.model.generator.upscale_factor}'
        if kind not in folders:
            folders[kind] = tmp_path_factory.mktemp(kind)
            root = folders[kind] / 'data'
            if 'div2k' in kind:
                _div2k(root, int(kind[-1]))
            else:
                DATA[kind](root)
        return folders[kind]

    return folder


def _shrink(cfg):
    """Small images and batches."""
    for loader in (cfg.train_dataloader, cfg.val_dataloader):
        loader.update(batch_size=2, num_workers=0, persistent_workers=False)
    sides = dict(YOLOV1Head=224)  # 7 cells
    side = sides.get(cfg.model.get('bbox_head', {}).get('type', '')[6:], 64)
    if 'roi_head' in cfg.model:
        side = 128  # an RPN cannot predict from a single anchor
    for step in _steps([cfg.train_dataloader, cfg.val_dataloader]):
        if step['type'] == 'Resize':
            step['scale'] = (side, side)
        elif step['type'] == 'RandomResizedCrop':
            step['scale'] = side
        elif step['type'] == 'CenterCrop':
            step['crop_size'] = side
        elif step['type'] == 'PairedRandomCrop':
            scale = cfg.model.generator.get('upscale_factor', 2)
            step['gt_patch_size'] = 16 * scale  # windows of 8
    if 'backbone' in cfg.model and cfg.model.backbone.get('init_cfg'):
        cfg.model.backbone.init_cfg = None  # no downloads


def _steps(part):
    """All dicts with a type in nested dicts and lists."""
    if isinstance(part, dict):
        if 'type' in part:
            yield part
        part = part.values()
    if not isinstance(part, str):
        for item in part:
            if isinstance(item, (dict, list, tuple)):
                yield from _steps(item)


def _believe(monkeypatch):
    """Let data sets read other files than the official ones."""
    monkeypatch.setattr(cifar, 'check_md5', lambda path, md5: True)
    for module in (stl10, svhn, utils):
        monkeypatch.setattr(
            module, 'check_integrity', lambda path, md5: Path(path).is_file()
        )


def _num_parameters(cfg):
    with torch.device('meta'):
        if cfg.model.backbone.type == 'SwinTransformer':  # it reads values
            return 0
        return sum(p.numel() for p in build_model(cfg).parameters())


@pytest.mark.parametrize(
    'path',
    [
        pytest.param(
            path,
            id=path.stem,
            marks=()
            if f'{path.parent.name}/{path.stem}' in FAMILIES
            else pytest.mark.slow,
        )
        for path in CONFIGS
    ],
)
def test_one_iteration_and_one_prediction(path, data, monkeypatch):
    cfg = Config.fromfile(path)
    complete(cfg)
    shape = (224, 224) if 'yolov1' in path.stem else (64, 64)
    _shrink(cfg)
    large = cfg.default_scope == 'mmdet' and LARGE < _num_parameters(cfg)
    modules = 1
    if path in LOCAL:
        modules = int(path.stem.split('_')[0].split('-k')[1])
    if large:
        run = ArmRun(cfg, 'local', 2, shape, 'meta')
        assert run.model.learner.num_modules == modules
        run.step()
        modules = cfg.model.local_learning.num_modules = 2
    monkeypatch.chdir(data(cfg, path.stem))
    _believe(monkeypatch)
    model = build_model(cfg)
    model.init_weights()
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
        train, val = (
            Runner.build_dataloader(cfg[f'{split}_dataloader'], seed=0)
            for split in ('train', 'val')
        )
        log = model.train().train_step(next(iter(train)), wrapper)
        with torch.no_grad():
            (sample, *_) = model.eval().val_step(next(iter(val)))
    assert log['loss'].isfinite()
    if path in LOCAL:
        assert model.learner.num_modules == modules
        assert {key.split('/')[0] for key in log if '/' in key} == {
            f'aux{i}' for i in range(modules - 1)
        }
    assert PREDICTIONS[cfg.default_scope] in sample


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


@pytest.mark.parametrize(
    'name',
    [
        # test_train_test.py runs a detector.
        pytest.param(name, marks=[pytest.mark.slow] * ('resnet' not in name))
        for name in TASKS
    ],
)
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

    if 'retinanet' in name:  # mmdet's own tool runs it, too
        stock_tool = Path(mmdet.__file__).parent / '.mim/tools/train.py'
        stock = command.replace('train.py', str(stock_tool), 1)
        stock += ' optim_wrapper.type=mmfba.LocalLearningOptimWrapper'
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


@pytest.mark.parametrize('scale', [2, 3, 4])
def test_psnr_is_that_of_edsr(scale):
    """RGB and Y, without a border of scale + 6 pixels."""
    name = f'configs/bp/edsr_x{scale}c64b16_1xb16-300k_div2k.py'
    cfg = Config.fromfile(ROOT / name)
    metrics = {(m.type, m.prefix): m for m in cfg.test_evaluator[0].metrics}
    assert set(metrics) == {
        (kind, prefix) for kind in ('PSNR', 'SSIM') for prefix in ('RGB', 'Y')
    }
    for (_, prefix), metric in metrics.items():
        assert metric.crop_border == scale + 6
        assert metric.get('convert_to') == ('Y' if prefix == 'Y' else None)


@pytest.mark.parametrize('scale, count', [(2, 1.37), (3, 1.55), (4, 1.52)])
def test_edsr_has_the_parameters_of_edsr_baseline(scale, count):
    name = f'configs/bp/edsr_x{scale}c64b16_1xb16-300k_div2k.py'
    with torch.device('meta'):
        model = _build(Config.fromfile(ROOT / name))
    parameters = sum(p.numel() for p in model.generator.parameters())
    assert round(parameters / 1e6, 2) == count


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
    path = Path(cfg.load_from)
    assert path == Path(configs[2].work_dir) / 'iter_300000.pth'
    path.parent.mkdir(parents=True)
    torch.save(dict(state_dict=x2.state_dict()), path)

    DefaultScope._instance_dict.clear()
    complete(cfg)
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
