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
    against,
    made_of,
    markdown,
    origin,
    seeds_note,
)

Row = Dict[str, Any]
FEW = 9
"""Of so many modules on the cuts are not listed."""
RATIOS = {
    'peak / BP': 'peak_ratio',
    'rest / BP': 'activation_ratio',
    'FLOPs / BP': 'flops_ratio',
    'operators / BP': 'operators_ratio',
    'time / BP': 'step_time_ratio',
}
"""Columns of costs, which stand where one arm has them."""


def comparison_table(name: str, _: Optional[List[str]]) -> str:
    """One run of tools/analysis_tools/compare_methods.py."""
    result = json.loads((RESULTS / f'comparisons/{name}.json').read_text())
    rows = result['rows']
    table = markdown([arm_cells(row, result) for row in rows])
    kernels = 'CPU' if result['device'] == 'cpu' else 'GPU'
    note = f'{seeds_note(result)} Rest: what a step adds to weights, '
    note += 'optimizer state and batch. Memory is counted with the kernels '
    note += f'of a {kernels}.{_times(rows)}{_trainings(result)}'
    return '\n'.join([table, '', note, origin(result)])


def arm_cells(row: Row, result: Dict[str, Any]) -> Dict[str, str]:
    """The columns of an arm of a comparison, by their names."""
    rows, metric = result['rows'], result['metric']
    fba, bp = fba_row(rows), next((r for r in rows if r['arm'] == 'BP'), row)
    cells = {'arm': row['arm'], 'K': f'{row["num_modules"]}'}
    if any(1 < r['num_modules'] < FEW for r in rows):
        cells['cuts after'] = _cuts(row)
    cells.update(made_of(row))
    cells[metric] = accuracy(row, metric)
    cells['vs BP'] = against(row, bp, metric)
    if fba:
        compared = row is not fba and 'mean' in row
        cells['vs FBA'] = order(row, fba) if compared else ''
    for words, key in RATIOS.items():
        if any(r.get(key) for r in rows):
            ratio = row.get(key)
            cells[words] = 'not run' if ratio is None else f'{ratio:.2f}'
    return cells


def _times(rows: List[Row]) -> str:
    timed = any(row['step_time_ratio'] for row in rows)
    how = 'of steps of all arms in turn' if timed else 'not run'
    return f' Time: {how}.'


def _cuts(row: Row) -> str:
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


def accuracy_plot(name: str, _: Optional[List[str]]) -> str:
    """The same as a picture, for pages in docs/."""
    result = json.loads((RESULTS / f'comparisons/{name}.json').read_text())
    image = ROOT / f'docs/images/{name}.png'
    plot_comparison(result['rows'], result['metric'], str(image))
    return f'![Accuracy against memory and FLOPs](images/{name}.png)'
