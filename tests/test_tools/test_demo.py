# Copyright (c) mmfba authors.
import json

import pytest
from run_tool import ROOT, run_tool

SHORT = (
    'train_cfg.max_epochs=1 train_cfg.val_interval=2 '
    'train_dataloader.dataset.indices=32 test_dataloader.dataset.indices=8 '
    'model.test_cfg.score_thr=0. default_hooks.logger.interval=1'
)


@pytest.mark.slow
def test_demo_leaves_what_it_says(tmp_path):
    if not (ROOT / 'data/digit_scenes').is_dir():
        pytest.skip('make data/digit_scenes by tools/dataset_converters')
    line = f'demo.py --work-dir {tmp_path} --cfg-options {SHORT}'
    out = run_tool(ROOT, line)
    assert 'local FPN K=4' in out and 'GFLOPs' in out
    rows = json.loads((tmp_path / 'results.json').read_text())['rows']
    assert [row['arm'] for row in rows] == ['BP', 'local FPN K=4']
    assert rows[1]['peak_mib'] < rows[0]['peak_mib']
    for name in ('memory.png', 'detections.png'):
        assert (tmp_path / name).stat().st_size > 10000
    for name in ('bp', 'local_fpn'):
        assert 'Epoch(train)' in (tmp_path / name / 'output.txt').read_text()
