# Copyright (c) mmfba authors.
"""Runs of tools/analysis_tools/compare_methods.py."""

import json
from collections import Counter
from typing import Any, Dict, List, Optional

from mmfba.analysis.accuracy import fba_row, order
from mmfba.analysis.comparison_plots import plot_comparison

from .common import (
    RESULTS,
    ROOT,
    accuracy,
    made_of,
    origin,
    seeds_note,
    targets_note,
)

FEW = 9
"""Of so many modules on the cuts are not listed."""


def comparison_table(name: str, _: Optional[List[str]]) -> str:
    """One run of tools/analysis_tools/compare_methods.py."""
    result = json.loads((RESULTS / f'comparisons/{name}.json').read_text())
    metric = result['metric']
    fba = fba_row(result['rows'])
    few = any(1 < row['num_modules'] < FEW for row in result['rows'])
    names = ['arm', 'K', *['cuts after'] * few, 'SLM', 'bank', 'head', metric]
    names += ['vs FBA', 'aux. parameters', 'peak / BP', 'rest / BP']
    names += ['FLOPs / BP', 'time / BP']
    rows = [names, ['---'] * len(names)]
    for row in result['rows']:
        compared = fba and row is not fba and 'mean' in row
        cells = [row['arm'], f'{row["num_modules"]}', *[_cuts(row)] * few]
        cells += [
            *made_of(row),
            accuracy(row, metric),
            order(row, fba) if compared else '',
            f'{row["aux_parameters"]:,}',
            f'{row["peak_ratio"]:.2f}',
            f'{row["activation_ratio"]:.2f}',
            f'{row["flops_ratio"]:.2f}',
            _time(row),
        ]
        rows.append(cells)
    rows = [f'| {" | ".join(cells)} |' for cells in rows]
    note = f'{seeds_note(result)} Rest: what a step adds to weights, '
    note += 'optimizer state and batch. '
    note += f'Time: of steps of all arms in turn.{_trainings(result)}'
    source = targets_note(result) + origin(result)
    return '\n'.join([*rows, '', note, source])


def _cuts(row: Dict[str, Any]) -> str:
    return ', '.join(row['cuts']) if row['num_modules'] < FEW else '...'


def _trainings(result: Dict[str, Any]) -> str:
    """How many had options of their machine, or no CPU, and which."""
    runs = [run for row in result['rows'] for run in row.get('runs', ())]
    options = Counter(' '.join(run.get('run_options', ())) for run in runs)
    devices = Counter(run.get('device', 'cpu') for run in runs)
    del options[''], devices['cpu']
    counts = [(f'with `{key}`', n) for key, n in options.items()]
    counts += [(f'on an {key}', n) for key, n in devices.items()]
    return ''.join(
        f' {count} of {len(runs)} trainings {how}.' for how, count in counts
    )


def _time(row: Dict[str, Any]) -> str:
    ratio = row['step_time_ratio']
    return 'not run' if ratio is None else f'{ratio:.2f}'


def accuracy_plot(name: str, _: Optional[List[str]]) -> str:
    """The same as a picture, for pages in docs/."""
    result = json.loads((RESULTS / f'comparisons/{name}.json').read_text())
    image = ROOT / f'docs/images/{name}.png'
    plot_comparison(result['rows'], result['metric'], str(image))
    return f'![Accuracy against memory and FLOPs](images/{name}.png)'
