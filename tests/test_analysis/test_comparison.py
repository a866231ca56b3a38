# Copyright (c) mmfba authors.
import pytest
from local_models import config

from mmfba.analysis.comparison import Comparison, measure_costs


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


def test_run_options_are_those_of_all_arms(path):
    option = 'optim_wrapper.optimizer.lr=0.5'
    arms = Comparison.from_file(path, [option]).arms
    assert [a.load().optim_wrapper.optimizer.lr for a in arms] == [0.5, 0.5]
    assert all(option not in arm.options for arm in arms)


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
