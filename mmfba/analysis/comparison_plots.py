# Copyright (c) mmfba authors.
"""Figures of a comparison."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .plots import COLORS, tidy

COSTS = dict(
    peak_ratio='peak memory',
    flops_ratio='FLOPs',
    step_time_ratio='time of a step',
    aux_parameters='auxiliary parameters',
)


def plot_comparison(
    rows: list[dict[str, Any]], metric: str, path: str
) -> Figure:
    """Draw the accuracy of all arms against what a training step costs.

    There is a panel for memory, for FLOPs, and for time where it was
    measured, each as a multiple of the first arm's, and for the auxiliary
    parameters. Error bars are the standard deviation over the seeds. If some
    arms are trained, others are left out; if none is, the costs alone are
    drawn as bars.

    Args:
        rows (List[Dict[str, Any]]): Of a comparison.
        metric (str): Name of the metric.
        path (str): The image file to write.
    """
    costs = [key for key in COSTS if rows[0][key] is not None]
    trained = [row for row in rows if 'mean' in row]
    count = len(costs)
    figure = Figure(figsize=(4.5 * count, 4.2), dpi=100, layout='constrained')
    panels = figure.subplots(1, count, sharey=True)
    draw = _draw_accuracy if trained else _draw_bars
    for axes, key in zip(panels, costs):
        draw(axes, trained or rows, key)
        ratio = f' / {rows[0]["arm"]}' if key.endswith('ratio') else ''
        axes.set_xlabel(COSTS[key] + ratio)
    if trained:
        panels[0].set_ylabel(metric)
    else:  # the first arm on top
        panels[0].invert_yaxis()
    for axes in panels:
        tidy(axes)
    figure.savefig(path)
    return figure


def _draw_accuracy(axes: Axes, rows: list[dict[str, Any]], key: str) -> None:
    for i, row in enumerate(rows):
        if row[key] is None:  # its steps were not timed
            continue
        point = (row[key], row['mean'])
        color = COLORS[i % len(COLORS)]
        axes.errorbar(*point, yerr=row['std'], fmt='o', color=color)
        axes.annotate(
            row['arm'],
            point,
            (5, 4),
            textcoords='offset points',
            fontsize=8,
            color=color,
        )
    axes.margins(x=0.15)


def _draw_bars(axes: Axes, rows: list[dict[str, Any]], key: str) -> None:
    names = [row['arm'] for row in rows]
    colors = [COLORS[i % len(COLORS)] for i in range(len(rows))]
    axes.barh(names, [row[key] or 0 for row in rows], color=colors)
