# Copyright (c) mmfba authors.
import statistics

import pytest
from local_models import config

from mmfba.analysis import comparison as module
from mmfba.analysis.comparison import (
    Comparison,
    fba_row,
    measure_costs,
    order,
    train_all,
)


@pytest.fixture
def path(tmp_path):
    detector = tmp_path / 'detector.py'
    config('detection', num_modules=3).dump(detector)
    text = f"""
metric = 'coco/bbox_mAP'
shape = (256, 320)
config = {str(detector)!r}
options = ['train_dataloader.batch_size=2']
seeds = [5, 6]
arms = {{
    'BP': dict(options=['model.local_learning.num_modules=1']),
    'K = 4!': dict(options=['model.local_learning.num_modules=4']),
}}
"""
    found = tmp_path / 'comparison.py'
    found.write_text(text)
    return found


def test_costs_of_each_arm_by_its_options(path):
    rows = measure_costs(Comparison.from_file(path))
    assert [row['arm'] for row in rows] == ['BP', 'K = 4!']
    assert [row['num_modules'] for row in rows] == [1, 4]
    assert rows[0]['aux_parameters'] == 0 < rows[1]['aux_parameters']
    assert rows[0]['peak_ratio'] == 1 > rows[1]['activation_ratio']


def test_each_arm_is_trained_with_each_seed(path, tmp_path, monkeypatch):
    calls, finished = [], []

    def train(config, folder, options, threads):
        calls.append((folder.relative_to(tmp_path).as_posix(), options[-1]))
        value = 0.5 if 'num_modules=1' in options[1] else 0.25
        value += 0.5 * options[-1].endswith('6')
        return dict(metrics={'coco/bbox_mAP': value}, seconds_per_iter=value)

    monkeypatch.setattr(module, 'train_and_test', train)
    found = train_all(
        Comparison.from_file(path),
        tmp_path,
        progress=lambda *args: finished.append(args[:2]),
    )
    assert calls == [
        ('BP/seed5', 'randomness.seed=5'),
        ('K-=-4/seed5', 'randomness.seed=5'),
        ('BP/seed6', 'randomness.seed=6'),
        ('K-=-4/seed6', 'randomness.seed=6'),
    ]
    assert finished == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert found['BP']['values'] == [0.5, 1.0]
    assert found['K = 4!']['mean'] == 0.5
    assert found['BP']['std'] == statistics.stdev([0.5, 1.0])


def test_a_failed_run_lets_the_others_end(path, tmp_path, monkeypatch):
    done = []

    def train(config, folder, options, threads):
        if folder.name == 'seed5':
            raise SystemExit('failed, see output.txt')
        done.append(folder)
        return dict(metrics={}, seconds_per_iter=1)

    monkeypatch.setattr(module, 'train_and_test', train)
    with pytest.raises(SystemExit, match='BP, seed 5: failed, see output'):
        train_all(Comparison.from_file(path), tmp_path)
    assert len(done) == 2


@pytest.mark.parametrize(
    'old, new, words',
    [
        ('seeds', 'seed', "unknown keys \\['seed'\\]"),
        ('metric', '_', "missing keys \\['metric'\\]"),
        ('detector.py', 'nothing.py', 'no such file'),
        ("'K = 4!'", "'BP!'", 'two arms have nearly the same name'),
    ],
)
def test_wrong_file(path, old, new, words):
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(ValueError, match=words):
        Comparison.from_file(path)


@pytest.mark.parametrize(
    'mean, std, words',
    [
        (0.61, 0.05, 'better'),
        (0.39, 0.01, 'worse'),
        (0.59, 0.01, 'no difference shown'),  # FBA varies more
        (0.61, 0.06, 'no difference shown'),
        (0.9, None, 'no difference shown'),  # one seed
    ],
)
def test_order_needs_two_standard_deviations(mean, std, words):
    fba = dict(arm='FBA', mean=0.5, std=0.05)
    assert order(dict(mean=mean, std=std), fba) == words


def test_arm_named_fba_is_the_one_compared_with():
    rows = [dict(arm='BP', mean=1), dict(arm='FBA', mean=2)]
    assert fba_row(rows) is rows[1]
    assert fba_row(rows[:1]) is None
    assert fba_row([dict(arm='FBA')]) is None  # not trained
