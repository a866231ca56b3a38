# Copyright (c) mmfba authors.
import pytest

from mmfba.analysis.comparison_plots import plot_comparison

COSTS = dict(peak_ratio=1, flops_ratio=1, aux_parameters=0)


@pytest.mark.parametrize('trained', [True, False])
@pytest.mark.parametrize('time', [None, 1.0])
def test_each_cost_has_a_panel(trained, time, tmp_path):
    rows = [dict(COSTS, arm=arm, step_time_ratio=time) for arm in ('BP', 'A')]
    for row in rows if trained else ():
        row.update(mean=0.5, std=0.1)
    path = tmp_path / 'plot.png'
    axes = plot_comparison(rows, 'mAP', str(path)).axes
    times = [] if time is None else ['time of a step / BP']
    assert [a.get_xlabel() for a in axes] == [
        'peak memory / BP',
        'FLOPs / BP',
        *times,
        'auxiliary parameters',
    ]
    assert path.stat().st_size


@pytest.mark.parametrize('trained', [True, False])
def test_an_arm_without_times_is_drawn_without_them(trained, tmp_path):
    rows = [dict(COSTS, arm=arm, step_time_ratio=1.0) for arm in ('BP', 'A')]
    rows[1].update(step_time_ratio=None)
    for row in rows if trained else ():
        row.update(mean=0.5, std=0.1)
    figure = plot_comparison(rows, 'mAP', str(tmp_path / 'plot.png'))
    drawn = [len(axes.texts) for axes in figure.axes]
    assert drawn == ([2, 2, 1, 2] if trained else [0] * 4)
