# Copyright (c) mmfba authors.
"""The tools on configs whose types are classes."""

import sys

import pytest
import torch
from mmengine.config import Config
from python_configs import LEAF, python_style
from run_tool import load_tool
from tiny_configs import CLASSIFICATION, DETECTION, LOCAL, localised
from tiny_data import write_cifar10, write_coco

SEED = '--cfg-options randomness.seed=0'
TTA = """
from mmdet.models import DetTTAModel

tta_model = dict(type=DetTTAModel, tta_cfg=dict(max_per_img=100))
tta_pipeline = test_pipeline
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs a command line in this process."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('LOCAL_RANK', '0')

    def run(line):
        name, *argv = line.split()
        monkeypatch.setattr(sys, 'argv', [name, *argv])
        load_tool(name).main()

    return run


@pytest.mark.parametrize(
    'task, text, pictures',
    [
        pytest.param('detection', DETECTION, 2, marks=pytest.mark.slow),
        ('classification', CLASSIFICATION, 4),
    ],
)
def test_classes_do_what_names_do(task, text, pictures, run, tmp_path, capfd):
    if task == 'detection':
        write_coco(tmp_path / 'data/coco')
    else:
        pytest.importorskip('mmpretrain')
        write_cifar10(tmp_path / 'data/cifar10')
    (tmp_path / 'base.py').write_text(text)
    (tmp_path / 'names.py').write_text(localised(task, 'base.py'))
    stock = python_style(Config.fromfile('base.py'))
    (tmp_path / 'stock.py').write_text(stock)
    model = LOCAL[task][0].replace('mmfba.', '')
    leaf = LEAF.format(model=model)
    if task == 'detection':  # as the config of names
        leaf += 'model.backbone.update(frozen_stages=-1, norm_eval=False)\n'
        leaf += TTA
    (tmp_path / 'classes.py').write_text(leaf)

    for name in ('names', 'classes'):
        run(f'train {name}.py {SEED}')
    states = [
        torch.load(f'work_dirs/{name}/epoch_1.pth', weights_only=True)
        for name in ('names', 'classes')
    ]
    expected, found = (state['state_dict'] for state in states)
    assert any(key.startswith('local_aux.') for key in found)
    assert expected.keys() == found.keys()
    assert all(torch.equal(found[key], expected[key]) for key in expected)
    dumped = (tmp_path / 'work_dirs/classes/classes.py').read_text()
    assert 'mmfba.AtomicCheckpointHook' in dumped

    checkpoint = 'work_dirs/classes/epoch_1.pth'
    run(f'test classes.py {checkpoint} --show-dir shown')
    assert len(list((tmp_path / 'shown').iterdir())) == pictures
    # What MMEngine has dumped has paths for classes.
    run(f'test work_dirs/classes/classes.py {checkpoint} --show-dir again')
    assert len(list((tmp_path / 'again').iterdir())) == pictures

    capfd.readouterr()
    run('localise classes.py --batch 2 --shape 64 64 --budget 8 -o lean.py')
    assert 'Recommended: 1, plain training' in capfd.readouterr().out
    lean = Config.fromfile('lean.py').model
    assert lean.type.__name__ == model
    assert lean.local_learning == dict(num_modules=1)

    if task == 'detection':  # --tta, as the Runner writes and reads it
        tool, cfg = load_tool('test'), Config.fromfile('classes.py')
        args = tool.parse_args(['classes.py', checkpoint, '--tta'])
        tool.merge_args(cfg, args)
        cfg = Config.fromstring(cfg.pretty_text, '.py')
        assert cfg.model.type == 'mmdet.models.DetTTAModel'
        assert cfg.model.module.type == 'mmfba.models.' + model

    run(f'model_converters/publish_model classes.py {checkpoint} out.pth')
    assert 'needs mmfba' not in capfd.readouterr().out
    assert 'mmfba' not in (tmp_path / 'out.py').read_text()
    assert len(list(tmp_path.glob('out-*.pth'))) == 1
