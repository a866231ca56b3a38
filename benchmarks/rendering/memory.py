# Copyright (c) mmfba authors.
"""Runs of tools/analysis_tools/benchmark_memory.py."""

import json
from typing import List, Optional

from mmfba.analysis.plots import plot_pareto

from .common import RESULTS, ROOT, markdown, origin


def memory_table(name: str, arms: Optional[List[str]]) -> str:
    """Arms of one run of tools/analysis_tools/benchmark_memory.py."""
    result = json.loads((RESULTS / f'memory/{name}.json').read_text())
    counted = any('operators' in row for row in result['rows'])
    rows = []
    for row in result['rows']:
        if arms and row['arm'] not in arms:
            continue
        time = row['step_time_ratio']
        ghost = '' if row['exact_bn'] else ' (ghost BN)'
        cells = {
            'arm': f'{row["arm"]}{ghost}',
            'K': f'{row["num_modules"]}',
            'peak, GiB': f'{row["peak_bytes"] / 2**30:.2f}',
            'peak / BP': f'{row["peak_ratio"]:.2f}',
            'FLOPs / BP': f'{row["flops_ratio"]:.2f}',
        }
        if counted:
            cells['operators'] = f'{row["operators"]:,}'
            cells['syncs'] = f'{row["syncs"]}'
        cells['time / BP'] = 'not run' if time is None else f'{time:.2f}'
        few = row['num_modules'] < 9
        cells['cuts after'] = ', '.join(row['cuts']) if few else '...'
        rows.append(cells)
    return '\n'.join([markdown(rows), '', origin(result)])


def pareto_plot(name: str, arms: Optional[List[str]]) -> str:
    """The same as a picture, for docs/memory.md."""
    result = json.loads((RESULTS / f'memory/{name}.json').read_text())
    rows = [r for r in result['rows'] if not arms or r['arm'] in arms]
    plot_pareto(rows, str(ROOT / f'docs/images/{name}.png'))
    text = 'Memory against FLOPs; filled: on the Pareto front'
    return f'![{text}](images/{name}.png)'
