# Copyright (c) mmfba authors.
"""Figures of measured steps."""

from collections.abc import Iterable
from textwrap import fill
from typing import Any, Optional

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .step_profile import StepProfile

# Grey for the baseline, then colours that most eyes tell apart.
COLORS = (
    '#5f6b7a #2f6db3 #d1602c #2e8b57 #8a5aa8 #b8860b #c2528b #3f9d9b'
).split()

LEGEND = 26
"""Letters in a line of the legend."""
WIDE, NARROW = 10, 3
"""Per cent of a step in which there is room for a name, and for a number."""


def plot_timelines(
    profiles: dict[str, StepProfile], path: str, title: Optional[str] = None
) -> Figure:
    """Draw the memory over one training step, a line for each arm.

    The legend has the peak of each arm, with its ratio to the first arm's;
    its static memory is a dashed line. Under the line of an arm with local
    modules these are shaded in turn; above all lines they are named.

    Args:
        profiles (Dict[str, StepProfile]): The arms by their labels, the
            baseline first.
        path (str): The image file to write.
        title (str, optional): Defaults to None.
    """
    if not profiles:
        raise ValueError('profiles must have at least one arm, got none')
    figure = Figure(figsize=(9, 4.2), dpi=100, layout='constrained')
    axes = figure.add_subplot()
    top = max(p.peak_bytes for p in profiles.values())
    unit, scale = ('GiB', 2**30) if top >= 2**31 else ('MiB', 2**20)
    strip = sum(len(profile.tags) > 1 for profile in profiles.values())
    axes.set(
        xlim=(0, 100),
        ylim=(0, (1.05 + 0.06 * strip) * top / scale),
        xlabel='progress of the step (% of allocations and releases)',
        ylabel=f'memory ({unit})',
    )
    baseline = next(iter(profiles.values())).peak_bytes
    named = 0  # arms whose modules are, each in a line of its own
    for i, (name, profile) in enumerate(profiles.items()):
        color = COLORS[i % len(COLORS)]
        memory = np.array(profile.timeline) / scale
        peak = np.format_float_positional(
            profile.peak_bytes / scale, 3, fractional=False, trim='-'
        )
        ratio = profile.peak_bytes / baseline
        label = f'{fill(name, LEGEND)}\n{peak} {unit}, {ratio:.0%}'
        _draw(axes, memory, profile.tags, color, named, label)
        named += len(profile.tags) > 1
        axes.axhline(
            profile.static_bytes / scale,
            color=color,
            linewidth=0.9,
            linestyle=(0, (5, 4)),
        )
    figure.legend(loc='outside right upper', frameon=False)
    tidy(axes)
    axes.set_title(title or '', loc='left', fontsize=11)
    axes.set_title(
        'dashed: weights, optimizer state, batch', loc='right', fontsize=8
    )
    figure.savefig(path)
    return figure


def plot_pareto(rows: list[dict[str, Any]], path: str) -> Figure:
    """Draw memory against cost of all arms, and the front of the best.

    The cost is the step's time where it was measured, else its FLOPs; both
    are ratios to the first row.

    Args:
        rows (List[Dict[str, Any]]): Of :func:`benchmark`.
        path (str): The image file to write.
    """
    timed = all(row['step_time_ratio'] for row in rows)
    key = 'step_time_ratio' if timed else 'flops_ratio'
    points = [(row[key], row['peak_ratio']) for row in rows]
    figure = Figure(figsize=(9, 4.2), dpi=100, layout='constrained')
    axes = figure.add_subplot()
    front = pareto_front(points)
    axes.step(*zip(*front), where='post', color='0.6', linewidth=1, zorder=1)
    for row, point in zip(rows, points):
        color = COLORS[1 if row['num_modules'] > 1 else 0]
        best = point in front
        axes.plot(*point, 'o', color=color, mfc=color if best else 'white')
        axes.annotate(
            row['arm'], point, (5, 4), textcoords='offset points', fontsize=8
        )
    axes.set(
        xlabel=('step time' if timed else 'FLOPs') + ' / BP',
        ylabel='peak memory / BP',
        ylim=(0, None),
    )
    axes.margins(x=0.12)
    tidy(axes)
    figure.savefig(path)
    return figure


def tidy(axes: Axes) -> None:
    """What all figures have in common."""
    axes.spines[['top', 'right']].set_visible(False)
    axes.grid(color='0.92')
    axes.set_axisbelow(True)


def pareto_front(
    points: Iterable[tuple[float, float]],
) -> list[tuple[float, float]]:
    """The points that no other is at most equal to in both values."""
    front: list[tuple[float, float]] = []
    for point in sorted(points):
        if not front or point[1] < front[-1][1]:
            front.append(point)
    return front


def _draw(
    axes: Axes,
    memory: np.ndarray,
    tags: list,
    color: str,
    line: int,
    label: str,
) -> None:
    progress = np.linspace(0, 100, len(memory))
    style = dict(color=color, linewidth=1.4, drawstyle='steps-post')
    axes.plot(progress, memory, label=label, **style)
    if len(tags) == 1:  # the whole network
        return
    ends = [start for start, _ in tags[1:]] + [len(memory) - 1]
    for i, ((start, name), end) in enumerate(zip(tags, ends)):
        span = slice(start, end + 1)
        axes.fill_between(
            progress[span],
            memory[span],
            step='post',
            color=color,
            alpha=(0.26, 0.13)[i % 2],
            linewidth=0,
        )
        left, right = progress[[start, end]]
        text = f'module {name}' if right - left > WIDE else name
        if right - left < NARROW:
            continue
        axes.annotate(
            text,
            ((left + right) / 2, 1),
            (0, -9 - 10 * line),
            xycoords=('data', 'axes fraction'),
            textcoords='offset points',
            ha='center',
            color=color,
            fontsize=8,
        )
