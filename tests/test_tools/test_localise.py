# Copyright (c) mmfba authors.
import os
import re
from pathlib import Path

import pytest
from local_models import config
from mmengine.config import Config
from python_configs import python_style
from run_tool import ROOT, load_tool, run_tool
from tiny_configs import CLASSIFICATION, DETECTION, EDITING
from tiny_data import write_coco

DIGITS = 'configs/bp/retinanet_r18-w32_fpn_1xb8-6e_digit-scenes.py'
STOCK = {
    'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py': '1.6GiB',
    'mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py': '1.6GiB',
    'mmpretrain::resnet/resnet50_8xb32_in1k.py': '1G',
    'mmagic::edsr/edsr_x2c64b16_1xb16-300k_div2k.py': '100M',
}
SHORT = (
    'train_cfg.max_epochs=1 train_dataloader.dataset.indices=16 '
    'train_dataloader.num_workers=0 '
    'train_dataloader.persistent_workers=False'
)


@pytest.fixture
def localise(tmp_path, monkeypatch, capsys):
    """Runs the tool in this process and returns what it printed."""
    monkeypatch.chdir(tmp_path)

    def localise(line):
        load_tool('localise').main(line.split())
        return capsys.readouterr().out

    return localise


@pytest.mark.parametrize(
    'task, text, says',
    [
        ('classification', CLASSIFICATION, '16 images of 32x32'),
        (
            'super-resolution',
            EDITING.replace('num_blocks=2', 'num_blocks=6'),
            '2 images of 48x48',
        ),
    ],
)
def test_batch_and_size_are_those_of_the_config(localise, task, text, says):
    Path('base.py').write_text(text)
    out = localise('base.py --budget 8GiB -o written.py')
    assert says in out and 'It fits into 8.00 GiB as it is' in out
    assert 'plain training' in out and re.search('[2-4] local modules ', out)
    assert Path('written.py').read_text().splitlines()[-1] == (
        "_base_ = 'base.py'"
    )


def test_a_row_is_chosen_and_trained(localise):
    write_coco(Path('data/coco'))
    Path('base.py').write_text(DETECTION)
    out = localise('base.py --budget 1K -o cfgs/written.py --choose 2')
    assert 'Nothing fits into 0.00 GiB: the least is' in out
    assert 'wrote cfgs/written.py' in out
    lines = Path('cfgs/written.py').read_text().splitlines()
    assert lines[2] == "_base_ = '../base.py'" and len(lines) <= 18
    load_tool('train').main(['cfgs/written.py', '--no-validate'])
    assert Path('work_dirs/written/epoch_1.pth').is_file()


def test_a_detector_is_fine_tuned_still(localise):
    Path('base.py').write_text(DETECTION)
    options = '--cfg-options model.test_cfg.max_per_img=7'
    out = localise(
        'base.py --budget 8 -o written.py --choose 8 --plot out/memory.png '
        + options
    )
    assert Path('out/memory.png').is_file()
    assert '2 images of 96x96 (train_dataloader.batch' in out
    assert 'kept: frozen_stages=1, norm_eval=True; --from-scr' in out
    base, found = Config.fromfile('base.py'), Config.fromfile('written.py')
    assert found.model.type == 'mmfba.LocalRetinaNet'
    assert found.model.test_cfg.max_per_img == 7
    for key in ('frozen_stages', 'norm_eval'):
        assert found.model.backbone[key] == base.model.backbone[key]


def test_from_scratch(localise):
    pretrained = "init_cfg=dict(type='Pretrained', checkpoint='x.pth')"
    Path('base.py').write_text(DETECTION.replace('init_cfg=None', pretrained))
    out = localise('base.py --budget 8 -o written.py --from-scratch')
    told = [x for x in out.splitlines() if x.startswith('from scratch: ')]
    assert told == [
        'from scratch: model.backbone.init_cfg=None',
        'from scratch: model.backbone.frozen_stages=-1',
        'from scratch: model.backbone.norm_eval=False',
        "from scratch: optim_wrapper.clip_grad={'max_norm': 10}",
    ]
    assert 'accumulation' not in out  # batch normalisation is trained
    found = Config.fromfile('written.py')
    backbone = found.model.backbone
    assert backbone.init_cfg is None and backbone.frozen_stages == -1
    assert backbone.norm_eval is False
    assert found.optim_wrapper.clip_grad == dict(max_norm=10)
    assert len(Path('written.py').read_text().splitlines()) <= 20


def test_pure_python(localise):
    Path('base.py').write_text(DETECTION)
    Path('stock.py').write_text(python_style(Config.fromfile('base.py')))
    localise('stock.py --budget 8 -o written.py --choose 8')
    text = Path('written.py').read_text()
    assert 'from .stock import *' in text and "'mmfba" not in text
    found = Config.fromfile('written.py')
    assert found.model.type.__name__ == 'LocalRetinaNet'


@pytest.mark.parametrize(
    'options, words',
    [
        ('--budget much', 'error: --budget much: no size'),
        ('', 'error: there is no GPU here .* --budget 8GiB'),
        ('--budget 8 --measure 3', 'error: --measure 3: there is no GPU here'),
        ('--budget 8 --measure 0', 'error: --measure 0: no number of steps'),
        (
            '--budget 8',
            'error: batch of None images of unknown .* --shape H W',
        ),
        (
            '--budget 8 --batch 2 --shape 32 32 --choose 99 -o x.py',
            r'error: --choose 99: rows are 1 to \d',
        ),
    ],
)
def test_wrong_input_is_one_message(localise, options, words, monkeypatch):
    config('super-resolution', num_modules=2).dump('bare.py')
    with pytest.raises(SystemExit, match=words):
        localise(f'bare.py {options}')


@pytest.mark.slow
@pytest.mark.parametrize('base', STOCK)
def test_stock_configs(localise, base):
    out = localise(f'{base} --budget {STOCK[base]} -o written.py')
    assert 'Recommended: ' in out
    lines = Path('written.py').read_text().splitlines()
    assert lines[2] == f'_base_ = {base!r}' and 3 < len(lines) <= 18
    assert Config.fromfile('written.py').model.type


@pytest.mark.slow
@pytest.mark.parametrize('row, num_modules', [(3, 1), (4, 4)])
def test_written_configs_train_on_digit_scenes(tmp_path, row, num_modules):
    data = ROOT / 'data/digit_scenes'
    if not data.is_dir():
        pytest.skip('make data/digit_scenes by tools/dataset_converters')
    os.symlink(ROOT / 'data', tmp_path / 'data')
    run_tool(
        tmp_path,
        f'localise.py {ROOT / DIGITS} --budget 8 -o my.py --choose {row}',
    )
    options = Config.fromfile(tmp_path / 'my.py').model.local_learning
    assert options.num_modules == num_modules
    run_tool(tmp_path, f'train.py my.py --no-validate --cfg-options {SHORT}')
    assert (tmp_path / 'work_dirs/my/epoch_1.pth').is_file()
