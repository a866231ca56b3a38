# Copyright (c) mmfba authors.
from pathlib import Path

import pytest

from mmfba.analysis import side_by_side
from mmfba.analysis.side_by_side import read_progress, train_side_by_side

LOG = """
11/26 20:00:00 - mmengine - INFO - Epoch(train)  [1][ 50/200]  lr: 1e-3
11/26 20:00:09 - mmengine - INFO - Epoch(train)  [2][100/200]  lr: 1e-3
11/26 20:00:09 - mmengine - INFO - Epoch(val) [2][20/20]  eta: 0:00:00
"""


def test_progress_is_read_from_the_log(tmp_path):
    log = tmp_path / 'output.txt'
    assert read_progress(log, 6) == {}
    log.write_text('loads\n')
    assert read_progress(log, 6) == {}
    log.write_text(LOG)
    assert read_progress(log, 6) == dict(
        completed=300, total=1200, state='epoch 2 of 6'
    )


@pytest.fixture
def arms(tmp_path):
    paths = {}
    for name in ('bp', 'fba'):
        path = tmp_path / name / 'config.py'
        path.parent.mkdir()
        path.write_text('train_cfg = dict(max_epochs=6)')
        paths[name.upper()] = str(path)
    return paths


def test_all_run_at_a_time_with_one_thread(arms, tmp_path, monkeypatch):
    calls = []

    def run(config, folder, options, threads):
        calls.append((Path(config).parent.name, folder, options, threads))
        while len(calls) < 2:  # one waits for the other
            pass
        return dict(config=config)

    monkeypatch.setattr(side_by_side, 'train_and_test', run)
    runs = train_side_by_side(arms, tmp_path / 'out', ['a=1'])
    assert runs == {name: dict(config=path) for name, path in arms.items()}
    assert sorted(calls) == [
        (name, tmp_path / 'out' / name, ['a=1'], 1) for name in ('bp', 'fba')
    ]


def test_a_failure_is_told_when_the_other_is_done(arms, tmp_path, monkeypatch):
    done = []

    def run(config, *_):
        if 'fba' in config:
            raise SystemExit('failed, see output.txt')
        done.append(config)

    monkeypatch.setattr(side_by_side, 'train_and_test', run)
    with pytest.raises(SystemExit, match='failed, see output'):
        train_side_by_side(arms, tmp_path)
    assert done == [arms['BP']]
