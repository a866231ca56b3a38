# Copyright (c) mmfba authors.
"""Figures of measured steps."""

from typing import Optional

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .step_profile import StepProfile

__all__ = ['plot_timelines']

# Grey for the baseline, then colours that most eyes tell apart.
COLORS = (
    '#5f6b7a #2f6db3 #d1602c #2e8b57 #8a5aa8 #b8860b #c2528b #3f9d9b'
).split()


def plot_timelines(
    profiles: dict[str, StepProfile], path: str, title: Optional[str] = None
) -> Figure:
    """Draw the memory over one training step, a line for each arm.

    The peak of each arm stands at the right, with its ratio to the first
    arm's; its static memory is a dashed line. Under the line of an arm with
    local modules these are shaded in turn and named.

    Args:
        profiles (Dict[str, StepProfile]): The arms by their labels, the
            baseline first.
        path (str): The image file to write.
        title (str, optional): Defaults to None.

    Returns:
        Figure: The figure, 900 pixels wide when saved as PNG.

    Raises:
        ValueError: If there are no profiles.
    """
    if not profiles:
        raise ValueError('profiles must have at least one arm, got none')
    figure = Figure(figsize=(9, 4.2), dpi=100, layout='constrained')
    axes = figure.add_subplot()
    top = max(p.peak_bytes for p in profiles.values())
    unit, scale = ('GiB', 2**30) if top >= 2**31 else ('MiB', 2**20)
    axes.set(
        xlim=(0, 100),
        ylim=(0, 1.08 * top / scale),
        xlabel='progress of the step (% of allocations and releases)',
        ylabel=f'memory ({unit})',
    )
    for i, profile in enumerate(profiles.values()):
        color = COLORS[i % len(COLORS)]
        memory = np.array(profile.timeline) / scale
        _draw(axes, memory, profile.tags, color)
        axes.axhline(
            profile.static_bytes / scale,
            color=color,
            linewidth=0.9,
            linestyle=(0, (5, 4)),
        )
    peaks = [p.peak_bytes / scale for p in profiles.values()]
    _label_peaks(axes, list(profiles), peaks, unit)
    axes.spines[['top', 'right']].set_visible(False)
    axes.grid(axis='y', color='0.92')
    axes.set_axisbelow(True)
    axes.set_title(title or '', loc='left', fontsize=11)
    axes.set_title(
        'dashed: weights, optimizer state, batch', loc='right', fontsize=8
    )
    figure.savefig(path)
    return figure


def _draw(axes: Axes, memory: np.ndarray, tags: list, color: str) -> None:
    progress = np.linspace(0, 100, len(memory))
    axes.plot(
        progress, memory, color=color, linewidth=1.4, drawstyle='steps-post'
    )
    ends = [start for start, _ in tags[1:]] + [len(memory) - 1]
    for i, ((start, name), end) in enumerate(zip(tags, ends, strict=False)):
        span = slice(start, end + 1)
        axes.fill_between(
            progress[span],
            memory[span],
            step='post',
            color=color,
            alpha=(0.26, 0.13)[i % 2],
            linewidth=0,
        )
        axes.annotate(
            f'module {name}' if len(tags) <= 8 else name,
            (progress[[start, end]].mean(), 0),
            (0, 4),
            textcoords='offset points',
            ha='center',
            color=color,
            fontsize=8,
        )


def _label_peaks(
    axes: Axes, labels: list[str], peaks: list[float], unit: str
) -> None:
    heights = _spread(peaks, 0.13 * axes.get_ylim()[1])
    for i, (label, peak) in enumerate(zip(labels, peaks, strict=True)):
        color = COLORS[i % len(COLORS)]
        figure = np.format_float_positional(
            peak, 3, fractional=False, trim='-'
        )
        axes.axhline(peak, color=color, linewidth=0.8, linestyle=':', zorder=1)
        axes.annotate(
            f'{label}\n{figure} {unit}, {peak / peaks[0]:.0%}',
            (100, peak),
            (103, heights[i]),
            va='center',
            color=color,
            fontsize=9,
            annotation_clip=False,
            arrowprops=dict(
                arrowstyle='-',
                color=color,
                linewidth=0.8,
                relpos=(0, 0.5),
                shrinkB=0,
            ),
        )


def _spread(values: list[float], distance: float) -> list[float]:
    """The values, lowered where two are less than a distance apart."""
    spread = list(values)
    order = np.argsort(values)[::-1]
    for above, below in zip(order, order[1:]):
        spread[below] = min(spread[below], spread[above] - distance)
    return spread
