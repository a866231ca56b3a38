# Copyright (c) mmfba authors.
import json
import logging

import pytest
from local_models import config
from run_tool import load_tool

from mmfba.analysis import accuracy
from mmfba.analysis.train_and_test import config_hash


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run the tool on two arms; trainings are not run but made up."""
    config('classification', num_modules=3).dump(tmp_path / 'c.py')
    (tmp_path / 'two.py').write_text(
        """
metric = 'accuracy/top1'
shape = (16, 16)
config = 'c.py'
options = ['train_dataloader.batch_size=2']
arms = dict(
    BP=dict(options=['model.local_learning.num_modules=1']), FBA=dict()
)
"""
    )
    monkeypatch.chdir(tmp_path)
    tool = load_tool('analysis_tools/compare_methods')

    def train_all(comparison, work_dir, jobs, known, progress):
        values = dict(BP=[90, 91], FBA=[80, 81])
        found = {
            arm.name: dict(
                values=values[arm.name],
                mean=sum(values[arm.name]) / 2,
                std=0.7,
                seconds_per_iter=1,
            )
            for arm in comparison.arms
        }
        for run in known:
            found[run['arm']]['mean'] = run['mean']
        progress(len(found), 'FBA, 0', found)

    monkeypatch.setattr(accuracy, 'train_all', train_all)

    def main(*options):
        monkeypatch.setattr('sys.argv', ['tool', 'two.py', *options])
        tool.main()
        logging.disable(logging.NOTSET)
        return capsys.readouterr().out

    return main


def test_trained_arms_in_table_json_and_plot(run, tmp_path):
    out = run('--train', '--plot', 'p.png', '--out', 'r.json')
    bp, fba = json.loads((tmp_path / 'r.json').read_text())['rows']
    assert bp['values'] == [90, 91] and fba['num_modules'] == 3
    (line,) = (line for line in out.splitlines() if ' BP ' in line)
    assert '90.5 ± 0.7' in line and line.rstrip().endswith('better')
    assert '95 % confidence interval' in ' '.join(out.split())
    assert (tmp_path / 'p.png').stat().st_size > 5000


def test_without_training_there_is_no_order(run, tmp_path):
    out = run('--plot', 'p.png')
    assert 'vs FBA' not in out and ' FBA ' in out and 'GFLOPs' in out
    assert (tmp_path / 'p.png').stat().st_size > 5000


@pytest.mark.parametrize('option', ['--out', '--known'])
def test_runs_in_json_files_are_handed_on(run, tmp_path, option):
    known = dict(arm='BP', runs=[dict(arm='BP', mean=95)])
    text = json.dumps(dict(rows=[known, dict(arm='FBA')]))
    (tmp_path / 'r.json').write_text(text)
    assert '95 ± 0.7' in run('--train', option, 'r.json')


def test_costs_measured_anew_keep_the_runs(run, tmp_path):
    options = ['train_dataloader.batch_size=2', 'randomness.seed=1']
    kept = dict(
        config_hash=config_hash('c.py', options),
        metrics={'accuracy/top1': 80.0},
        seconds_per_iter=1.0,
    )
    (tmp_path / 'r.json').write_text(
        json.dumps(dict(rows=[dict(arm='FBA', runs=[kept])]))
    )
    run('--out', 'r.json')
    bp, fba = json.loads((tmp_path / 'r.json').read_text())['rows']
    assert fba['runs'] == [kept] and fba['mean'] == 80.0
    assert fba['num_modules'] == 3 and 'runs' not in bp
