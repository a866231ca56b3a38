# Copyright (c) mmfba authors.
import pytest
from run_tool import load_tool

CASES = {
    'mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py': (
        17,
        ['stem', '0', '9,536', '64', '4', 'possible'],
        ['layer4.2', '4', '4,462,592', '2048', '32'],
    ),
    'mmpretrain::swin_transformer/swin-tiny_16xb64_in1k.py': (
        16,
        ['stem', '0', '4,896', '96', '4', 'possible'],
        ['stages.3.blocks.1', '4', '7,093,464', '768', '32'],
    ),
    'mmagic::edsr/edsr_x2c64b16_1xb16-300k_div2k.py': (
        20,
        ['stem', '0', '1,792', '64', '1'],
        ['body.0', '1', '73,856', '64', '1', 'possible'],
    ),
}


@pytest.mark.parametrize('config', CASES)
def test_units_of_stock_configs(config, capsys, monkeypatch):
    monkeypatch.setattr('sys.argv', ['list_units.py', config])
    load_tool('analysis_tools/list_units').main()
    title, *rows = [
        line.split() for line in capsys.readouterr().out.splitlines()
    ]
    assert title[0] == 'unit' and title[-1] == 'cut'
    count, *expected = CASES[config]
    assert len(rows) == count
    shares = [float(row.pop(5).rstrip('%')) for row in rows]
    assert sum(shares) == pytest.approx(100, abs=0.1 * count)
    assert all(row in rows for row in expected)


def test_a_config_without_a_network(tmp_path, capsys, monkeypatch):
    path = tmp_path / 'no_model.py'
    path.write_text("default_scope = 'mmdet'")
    monkeypatch.setattr('sys.argv', ['list_units.py', str(path)])
    with pytest.raises(SystemExit) as ended:
        load_tool('analysis_tools/list_units').main()
    assert 'backbone or generator' in str(ended.value.code)
