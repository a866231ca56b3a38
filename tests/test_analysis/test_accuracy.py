# Copyright (c) mmfba authors.
import statistics
from dataclasses import replace

import pytest

from mmfba.analysis import accuracy as module
from mmfba.analysis.accuracy import (
    fba_row,
    known_results,
    order,
    train_all,
)
from mmfba.analysis.comparison import Arm, Comparison
from mmfba.analysis.train_and_test import config_hash


@pytest.fixture
def comparison(tmp_path):
    """Two arms, two seeds."""
    (tmp_path / 'config.py').write_text('model = dict(depth=1)')
    arms = [
        Arm(name, str(tmp_path / 'config.py'), (f'model.k={k}',))
        for name, k in (('BP', 1), ('K = 4!', 4))
    ]
    return Comparison('mAP', (8, 8), tuple(arms), (5, 6))


@pytest.fixture
def calls(monkeypatch):
    """What trainings were begun; they are made up."""
    calls = []

    def train(config, folder, options, threads, run_options):
        calls.append((f'{folder.parent.name}/{folder.name}', options[-1]))
        value = 0.5 if 'k=1' in options[0] else 0.25
        value += 0.5 * options[-1].endswith('6')
        return dict(
            config=config,
            checkpoint=str(folder / 'epoch_1.pth'),
            config_hash=config_hash(config, options),
            metrics=dict(mAP=value),
            seconds_per_iter=value,
        )

    monkeypatch.setattr(module, 'train_and_test', train)
    return calls


def test_each_arm_is_trained_with_each_seed(comparison, calls, tmp_path):
    finished = []
    found = train_all(
        comparison,
        tmp_path,
        progress=lambda *args: finished.append(args[:2]),
    )
    assert calls == [
        ('BP/seed5', 'randomness.seed=5'),
        ('K-=-4/seed5', 'randomness.seed=5'),
        ('BP/seed6', 'randomness.seed=6'),
        ('K-=-4/seed6', 'randomness.seed=6'),
    ]
    assert [done for done, _ in finished] == [0, 1, 2, 3, 4]
    assert found['BP']['values'] == [0.5, 1.0]
    assert str(tmp_path / 'BP') not in str(found)
    assert found['K = 4!']['mean'] == 0.5
    assert found['BP']['std'] == statistics.stdev([0.5, 1.0])


def test_known_runs_of_the_same_config_are_not_run_again(
    comparison, calls, tmp_path
):
    expected = train_all(comparison, tmp_path)
    known = [run for arm in expected.values() for run in arm['runs']]
    # One was of another config, and that of K=4 with seed 6 is missing.
    known[0] = dict(known[0], config_hash='0' * 16)
    calls.clear()
    states = []
    found = train_all(
        comparison,
        tmp_path,
        known=known[:3],
        progress=lambda *args: states.append(args),
    )
    assert [name for name, _ in calls] == ['BP/seed5', 'K-=-4/seed6']
    assert found == expected
    assert known_results(comparison, known[:3]) == states[0][2]
    done, _, trained = states[0]
    assert done == 2
    assert trained['BP']['values'] == [1.0]
    assert trained['BP']['std'] is None
    assert trained['K = 4!']['values'] == [0.25]


def test_a_failed_run_lets_the_others_end(comparison, monkeypatch, tmp_path):
    done = []

    def train(config, folder, options, threads, run_options):
        if folder.name == 'seed5':
            raise SystemExit('failed, see output.txt')
        done.append(folder)
        return dict(metrics=dict(mAP=1), seconds_per_iter=1)

    monkeypatch.setattr(module, 'train_and_test', train)
    with pytest.raises(SystemExit, match='BP, seed 5: failed, see output'):
        train_all(comparison, tmp_path)
    assert len(done) == 2


def test_unknown_metric(comparison, calls, tmp_path):
    wrong = replace(comparison, metric='AP')
    with pytest.raises(SystemExit, match="metric='AP': .* gave .'mAP'"):
        train_all(wrong, tmp_path)


@pytest.mark.parametrize(
    'values, words',
    [
        ([0.60, 0.62, 0.64], 'better'),
        ([0.36, 0.38, 0.40], 'worse'),
        ([0.55, 0.57, 0.59], 'no difference shown'),
        ([0.50, 0.65, 0.80], 'no difference shown'),  # it varies more
        ([0.52, 0.52, 0.52], 'no difference shown'),
        ([0.9], 'one seed'),
    ],
)
def test_order_needs_an_interval_without_zero(values, words):
    fba = dict(arm='FBA', values=[0.46, 0.50, 0.54])
    assert order(dict(values=values), fba) == words
    if words == 'better':
        assert order(fba, dict(values=values)) == 'worse'


def test_arm_named_fba_is_the_one_compared_with():
    rows = [dict(arm='BP', mean=1), dict(arm='FBA', mean=2)]
    assert fba_row(rows) is rows[1]
    assert fba_row(rows[:1]) is None
    others = [dict(arm='FBA, K=8', mean=1), dict(arm='FBA (SLM)', mean=2)]
    assert fba_row(others) is others[1]
    assert fba_row([dict(arm='FBA')]) is None  # not trained
