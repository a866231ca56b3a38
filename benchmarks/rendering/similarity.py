# Copyright (c) mmfba authors.
"""Runs of tools/analysis_tools/cka.py."""

import json
import statistics
from typing import Dict, Iterable, List, Optional

from mmfba.analysis.similarity_plot import plot_similarity, same_unit

from .common import RESULTS, ROOT, markdown, origin


def similarity_table(name: str, _: Optional[List[str]]) -> str:
    """One run of tools/analysis_tools/cka.py, for pages in docs/."""
    result = json.loads((RESULTS / f'similarity/{name}.json').read_text())
    reference, *others = networks = result['networks']
    image = f'images/{name}_similarity.png'
    plot_similarity(networks, str(ROOT / 'docs' / image))
    columns = [
        (f'CKA {network["name"]}', same_unit(reference, network))
        for network in others
    ] + [
        (f'probe {network["name"]}', dict(zip(network['units'], probe)))
        for network in networks
        if (probe := network['probe'])
    ]
    stages: Dict[str, List[str]] = {}
    for unit in reference['units']:
        stages.setdefault(unit.split('.')[0], []).append(unit)
    rows = []
    for stage, units in stages.items():
        row = dict(units=stage)
        for title, values in columns:
            row[title] = mean_text(values[unit] for unit in units)
        rows.append(row)
    note = (
        f'Means over the units of each stage. CKA: with the same unit of '
        f'{reference["name"]}; probe: accuracy of a linear classifier in '
        f'percent. {result["num_images"]} test images.'
    )
    picture = f'![CKA of all units, and linear probes by depth]({image})'
    return '\n'.join([markdown(rows), '', picture, '', note, origin(result)])


def mean_text(values: Iterable[Optional[float]]) -> str:
    """Mean of the values that are known, formatted."""
    known = [value for value in values if value is not None]
    return f'{statistics.fmean(known):.3g}' if known else '-'
