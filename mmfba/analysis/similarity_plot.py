# Copyright (c) mmfba authors.
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .plots import COLORS, tidy


def plot_similarity(networks: list[dict[str, Any]], path: str) -> Figure:
    """Draw heat maps of CKA, and curves of CKA and linear probes by depth.

    Args:
        networks (list[dict]): Of :func:`compare_networks`, the reference
            first.
        path (str): The image file to write.
    """
    reference, *others = networks
    width = max(2, len(others))
    figure = Figure(figsize=(4.5 * width, 8.4), dpi=100, layout='constrained')
    top, bottom = figure.subfigures(2, 1)
    maps = np.atleast_1d(top.subplots(1, len(others)))
    for axes, network in zip(maps, others):
        image = _draw_map(axes, reference, network)
    top.colorbar(image, ax=list(maps), label='linear CKA')
    similar, separable = bottom.subplots(1, 2)
    for i, network in enumerate(networks):
        style = dict(
            marker='.', color=COLORS[i % len(COLORS)], label=network['name']
        )
        if i:
            values = same_unit(reference, network)
            heights = np.array([*values.values()], dtype=float)
            similar.plot([*values], heights, **style)
        if network['probe']:
            separable.plot(network['units'], network['probe'], **style)
    similar.set(
        ylim=(0, 1.02), ylabel=f'CKA with the same unit of {reference["name"]}'
    )
    separable.set(ylabel='accuracy of a linear probe (%)')
    for axes in (similar, separable):
        axes.tick_params(axis='x', rotation=90, labelsize=8)
        tidy(axes)
        if axes.lines:
            axes.legend(frameon=False)
        else:
            axes.set_visible(False)
    figure.savefig(path)
    return figure


def same_unit(
    reference: dict[str, Any], network: dict[str, Any]
) -> dict[str, float]:
    """CKA, by name, of the units that both networks have, with its like."""
    columns = {name: j for j, name in enumerate(network['units'])}
    return {
        name: network['cka'][i][columns[name]]
        for i, name in enumerate(reference['units'])
        if name in columns
    }


def _draw_map(
    axes: Axes, reference: dict[str, Any], network: dict[str, Any]
) -> Any:
    values = np.array(network['cka'], dtype=float)
    image = axes.imshow(
        values, vmin=0, vmax=1, cmap='magma', origin='lower', aspect='auto'
    )
    for axis, owner in ((axes.xaxis, network), (axes.yaxis, reference)):
        axis.set_ticks(range(len(owner['units'])), owner['units'], fontsize=7)
        axis.set_label_text(owner['name'])
    axes.tick_params(axis='x', rotation=90)
    return image
