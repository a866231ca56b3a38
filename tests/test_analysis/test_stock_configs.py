# Copyright (c) mmfba authors.
import json
import logging

import pytest
from mmengine.config import Config
from run_tool import ROOT, load_tool

from mmfba.analysis import stock_configs
from mmfba.analysis.network_units import network_config
from mmfba.analysis.stock_configs import (
    check_network,
    check_networks,
    read_networks,
)

SAMPLE = {
    'mmpretrain': (
        'resnet/resnet50_8xb32_in1k.py',
        'swin_transformer/swin-tiny_16xb64_in1k.py',
        'conformer/conformer-tiny-p16_8xb128_in1k.py',
    ),
    'mmdet': (
        'efficientnet/retinanet_effb3_fpn_8xb4-crop896-1x_coco.py',
        'soft_teacher/soft-teacher_faster-rcnn_r50-caffe_fpn_180k_semi-'
        '0.1-coco.py',
        'misc/d2_retinanet_r50-caffe_fpn_ms-90k_coco.py',
    ),
    'mmagic': (
        'edsr/edsr_x4c64b16_1xb16-300k_div2k.py',
        'srcnn/srcnn_x4k915_1xb16-1000k_div2k.py',
    ),
}


def committed(library):
    path = ROOT / f'benchmarks/results/supported/{library}.json'
    return json.loads(path.read_text())


def check_config(library, name):
    cfg = Config.fromfile(stock_configs._root(library) / name)
    return check_network(network_config(cfg), cfg.default_scope)


def outcome(row):
    return {k: row[k] for k in ('cuts', 'reason') if k in row}


@pytest.mark.parametrize('library', SAMPLE)
def test_some_networks_are_as_committed(library):
    rows = committed(library)['networks']
    for config in SAMPLE[library]:
        (row,) = (row for row in rows if config in row['configs'])
        assert check_config(library, config) == outcome(row), config


@pytest.mark.slow
@pytest.mark.parametrize('library', SAMPLE)
def test_what_could_not_be_cut_is_as_committed(library):
    logging.disable(logging.WARNING)
    for row in committed(library)['networks']:
        if 'reason' in row:
            found = check_config(library, row['configs'][0])
            assert found == outcome(row), row['configs'][0]


@pytest.mark.slow
@pytest.mark.parametrize('library', SAMPLE)
def test_all_configs_are_in_the_committed_result(library):
    logging.disable(logging.WARNING)
    result, found = committed(library), read_networks(library)
    rows = [(r['key'], r['type'], r['configs']) for r in result['networks']]
    networks = found.pop('networks')
    assert rows == [(n['key'], n['type'], n['configs']) for n in networks]
    assert found == {key: result[key] for key in found}


@pytest.mark.parametrize(
    'library, share', [('mmpretrain', 98), ('mmdet', 95), ('mmagic', 97)]
)
def test_nearly_all_networks_can_be_cut_into_four(library, share):
    rows = committed(library)['networks']
    four = [row for row in rows if len(row.get('cuts', ())) == 3]
    cut = sum(len(row['configs']) for row in four)
    assert 100 * cut >= share * sum(len(row['configs']) for row in rows)
    if library == 'mmagic':
        assert all('cuts' in row for row in rows)


CLASSIFIER = """
default_scope = 'mmpretrain'
model = dict(type='{kind}', backbone=dict(type='{network}', depth={depth}))
train_dataloader = dict()
"""


@pytest.fixture
def configs(tmp_path, monkeypatch):
    """A folder of configs in place of the library's."""
    (tmp_path / '_base_').mkdir()
    (tmp_path / 'x').mkdir()
    texts = {
        '_base_/model.py': CLASSIFIER.format(
            kind='ImageClassifier', network='ResNet', depth=18
        ),
        'a.py': "_base_ = './_base_/model.py'",
        'x/b.py': """
_base_ = '../_base_/model.py'
model = dict(backbone=dict(frozen_stages=1, init_cfg=dict(type='x')))
""",
        'c.py': CLASSIFIER.format(
            kind='ImageClassifier', network='ResNet', depth=17
        ),
        'd.py': CLASSIFIER.format(kind='MAE', network='ResNet', depth=18),
        'e.py': "_base_ = './_base_/model.py'\ntrain_dataloader = None",
        'f.py': f'raise ValueError("{"x" * 280} {tmp_path}/f.py")',
        'g.py': 'dataset = 1',
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(stock_configs, '_root', lambda library: tmp_path)
    return tmp_path


def test_configs_are_sorted_by_what_can_be_checked(configs):
    found = read_networks('mmpretrain')
    networks = found.pop('networks')
    assert [n['configs'] for n in networks] == [['a.py', 'x/b.py'], ['c.py']]
    (unreadable,) = found.pop('unreadable')
    assert unreadable['config'] == 'f.py'
    assert unreadable['reason'] == f'ValueError: {"x" * 280} f.py'
    assert found == dict(not_trained=2, other_tasks=dict(MAE=1))


def test_a_check_goes_on_from_its_file(configs, monkeypatch, capsys):
    out = configs / 'out/supported.json'
    command = ['check_stock_configs.py', 'mmpretrain', '--out', str(out)]
    monkeypatch.setattr('sys.argv', command)
    tool = load_tool('analysis_tools/check_stock_configs')
    tool.main()
    written = out.read_text()
    good, bad = json.loads(written)['networks']
    assert good['cuts'] == ['stem', 'layer1.0', 'layer1.1']
    assert good['configs'] == ['a.py', 'x/b.py'] and good['type'] == 'ResNet'
    assert bad['reason'] == "KeyError: 'invalid depth 17 for resnet'"
    assert '2 of 3 configs' in capsys.readouterr().out
    checked = []
    monkeypatch.setattr(
        stock_configs,
        'check_network',
        lambda network, scope: (
            checked.append(network['depth']) or outcome(bad)
        ),
    )
    tool.main()
    assert checked == [17]  # what could not be cut is tried again
    assert out.read_text() == written


def test_networks_with_few_units_are_cut_into_as_many():
    network = dict(type='SRCNNNet', channels=(3, 4, 4, 3))
    found = stock_configs.check_network(network, 'mmagic')
    assert len(found['cuts']) == 2
    rows = list(
        check_networks(
            [dict(key='k', type='t', configs=[], network={}, scope='mmagic')],
            [dict(key='k', cuts=['a'])],
        )
    )
    assert rows == [(dict(key='k', type='t', configs=[], cuts=['a']), False)]
