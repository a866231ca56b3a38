# Copyright (c) mmfba authors.
import json

import pytest
from local_models import config
from run_tool import run_tool

from mmfba.analysis.plots import pareto_front


@pytest.fixture(scope='module')
def detector(tmp_path_factory):
    path = tmp_path_factory.mktemp('configs') / 'detector.py'
    config('detection', num_modules=3).dump(path)
    return path


def test_benchmark_writes_table_json_and_plots(detector, tmp_path):
    out = run_tool(
        tmp_path,
        f'analysis_tools/benchmark_memory.py {detector} --batch 2 --shape 128 '
        '160 --arms bp cp local local+tuned --out results/r.json --plot p.png '
        '--cfg-options model.local_learning.num_modules=4',
    )
    result = json.loads((tmp_path / 'results/r.json').read_text())
    assert result['shape'] == [128, 160] and result['batch'] == 2
    assert result['device'] == 'meta' and str(detector) in result['command']
    rows = {row['arm']: row for row in result['rows']}
    assert list(rows) == ['bp', 'cp', 'local', 'local+tuned']
    assert rows['local']['num_modules'] == 4
    ratios = [row['activation_ratio'] for row in rows.values()]
    assert ratios[0] == 1 > ratios[1] and ratios[3] < min(ratios[:3])
    for name, row in rows.items():
        assert f'{row["peak_ratio"]:.3f}' in out, name
        for peak in row['module_peak_bytes'] if row['cuts'] else ():
            assert f'{peak / 2**20:,.1f}' in out, name
    for name in ('p.png', 'p_pareto.png'):
        assert (tmp_path / name).stat().st_size > 10000


def test_times_on_the_cpu(detector, tmp_path):
    out = run_tool(
        tmp_path,
        f'analysis_tools/benchmark_memory.py {detector} --batch 2 --shape 64 '
        '64 --device cpu --steps 2 --arms bp local',
    )
    assert ' - ' not in out.split('local cuts')[0].split('bp')[1]


@pytest.mark.parametrize(
    'options, words',
    [
        (
            'benchmark_memory.py {} --cfg-options model.type=RetinaNet',
            "error: model.type='RetinaNet' does no local learning",
        ),
        ('benchmark_memory.py {} --arms local', 'error: arms='),
        ('benchmark_memory.py {} --batch 0', 'no number above 0'),
    ],
)
def test_wrong_input_is_one_message(detector, tmp_path, options, words):
    with pytest.raises(AssertionError) as failure:
        run_tool(
            tmp_path,
            'analysis_tools/' + options.format(detector) + ' --shape 64 64',
        )
    assert words in str(failure.value)
    assert 'Traceback' not in str(failure.value)


def test_pareto_front():
    points = [(1, 1), (1.1, 0.5), (1.2, 0.5), (1.2, 0.6), (1.3, 0.2)]
    assert pareto_front(points) == [(1, 1), (1.1, 0.5), (1.3, 0.2)]
