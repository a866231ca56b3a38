# Copyright (c) mmfba authors.
import pytest
from mmengine.config import Config

from mmfba.analysis.config_text import config_text

BASE = """
model = dict(type='RetinaNet', backbone=dict(type='ResNet', depth=50))
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.1))
param_scheduler = [
    dict(type='LinearLR', by_epoch=False, end=500),
    dict(type='MultiStepLR', milestones=[8, 11])]
"""
PYTHON = 'from mmdet.models import RetinaNet\n' + BASE.replace(
    "'RetinaNet'", 'RetinaNet'
)
CHANGES = {
    'model.type': 'mmfba.LocalRetinaNet',
    'model.local_learning': dict(num_modules=3),
    'model.local_learning.partition': ['layer1.2', 'layer2.3'],
    'model.backbone.with_cp': True,
    'optim_wrapper.accumulative_counts': 2,
    'train_dataloader.batch_size': 1,
    'param_scheduler.0.end': 1000,
}


def written(base, out, changes, named=None):
    cfg = Config.fromfile(base)
    text = config_text(str(named or base), cfg, changes, out, 'Why\nand how')
    out.parent.mkdir(exist_ok=True)
    out.write_text(text)
    return text


def check(cfg):
    assert cfg.model.backbone == dict(type='ResNet', depth=50, with_cp=True)
    assert cfg.model.local_learning == dict(
        num_modules=3, partition=['layer1.2', 'layer2.3']
    )
    assert cfg.optim_wrapper.accumulative_counts == 2
    assert cfg.optim_wrapper.optimizer.type == 'SGD'
    assert cfg.train_dataloader.batch_size == 1
    assert [s.type for s in cfg.param_scheduler] == ['LinearLR', 'MultiStepLR']
    assert cfg.param_scheduler[0].end == 1000


@pytest.mark.parametrize('name', ['out.py', 'other/out.py'])
def test_text(tmp_path, name):
    (tmp_path / 'my-base.py').write_text(BASE)
    text = written(tmp_path / 'my-base.py', tmp_path / name, CHANGES)
    assert text.startswith('# Why\n# and how\n_base_ = ')
    lines = text.splitlines()
    assert len(lines) <= 15 and max(map(len, lines)) < 80
    assert any(line.endswith('# the units to cut after') for line in lines)
    cfg = Config.fromfile(tmp_path / name)
    assert cfg.model.type == 'mmfba.LocalRetinaNet'
    check(cfg)


def test_a_stock_config_is_named_as_the_user_did(tmp_path):
    (tmp_path / 'base.py').write_text(BASE)
    text = written(
        tmp_path / 'base.py', tmp_path / 'out.py', {}, 'mmdet::a/b.py'
    )
    assert text.splitlines()[2:] == ["_base_ = 'mmdet::a/b.py'"]


@pytest.mark.parametrize('name', ['out.py', 'other/out.py'])
def test_pure_python_stays_pure_python(tmp_path, name):
    pytest.importorskip('mmdet')
    (tmp_path / 'base.py').write_text(PYTHON)
    text = written(tmp_path / 'base.py', tmp_path / name, CHANGES)
    assert 'from mmfba.models import LocalRetinaNet\n' in text
    assert '_base_' not in text and "'mmfba" not in text
    cfg = Config.fromfile(tmp_path / name)
    from mmfba.models import LocalRetinaNet

    assert cfg.model.type is LocalRetinaNet
    check(cfg)


def test_a_pure_python_base_needs_a_name(tmp_path):
    (tmp_path / 'my-base.py').write_text(PYTHON)
    with pytest.raises(ValueError, match='my-base is no name that can be imp'):
        written(tmp_path / 'my-base.py', tmp_path / 'out.py', CHANGES)


@pytest.mark.parametrize('base', [BASE, PYTHON])
def test_what_a_fine_tuning_has_is_taken_away(tmp_path, base):
    pytest.importorskip('mmdet')
    init = "init_cfg=dict(type='Pretrained', checkpoint='x.pth')"
    base = base.replace('depth=50', f'depth=50, frozen_stages=1, {init}')
    base += "load_from = 'y.pth'\noptim_wrapper.update(clip_grad=None)\n"
    (tmp_path / 'base.py').write_text(base)
    changes = {
        'load_from': None,
        'model.backbone.init_cfg': None,
        'model.backbone.frozen_stages': -1,
        'optim_wrapper.clip_grad': dict(max_norm=10, _delete_=True),
    }
    text = written(tmp_path / 'base.py', tmp_path / 'out.py', changes)
    assert len(text.splitlines()) <= 15
    cfg = Config.fromfile(tmp_path / 'out.py')
    assert cfg.load_from is None
    assert cfg.model.backbone == dict(
        type='ResNet', depth=50, init_cfg=None, frozen_stages=-1
    )
    assert cfg.optim_wrapper.clip_grad == dict(max_norm=10)
    assert cfg.optim_wrapper.optimizer.lr == 0.1


def test_long_lists_are_broken(tmp_path):
    (tmp_path / 'base.py').write_text(BASE)
    cuts = [f'layer{i}.{j}' for i in range(4) for j in range(4)]
    changes = {'model.local_learning.partition': cuts}
    text = written(tmp_path / 'base.py', tmp_path / 'out.py', changes)
    assert max(map(len, text.splitlines())) < 80
    cfg = Config.fromfile(tmp_path / 'out.py')
    assert cfg.model.local_learning.partition == cuts


def test_lists_inside_dicts_are_refused(tmp_path):
    (tmp_path / 'base.py').write_text(BASE)
    with pytest.raises(ValueError, match=r'model\.parts\.0\.x: a key inside'):
        written(
            tmp_path / 'base.py', tmp_path / 'o.py', {'model.parts.0.x': 1}
        )
