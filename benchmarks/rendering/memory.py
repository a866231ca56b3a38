# Copyright (c) mmfba authors.
"""Runs of tools/analysis_tools/benchmark_memory.py."""

import json
from typing import List, Optional

from mmfba.analysis.plots import plot_pareto

from .common import RESULTS, ROOT, origin


def memory_table(name: str, arms: Optional[List[str]]) -> str:
    """Arms of one run of tools/analysis_tools/benchmark_memory.py."""
    result = json.loads((RESULTS / f'memory/{name}.json').read_text())
    counted = any('operators' in row for row in result['rows'])
    names = ['arm', 'K', 'peak, GiB', 'peak / BP', 'FLOPs / BP']
    names += ['operators', 'syncs'] * counted + ['time / BP', 'cuts after']
    rows = [names, ['---'] * len(names)]
    for row in result['rows']:
        if arms and row['arm'] not in arms:
            continue
        time = row['step_time_ratio']
        ghost = '' if row['exact_bn'] else ' (ghost BN)'
        cells = [
            f'{row["arm"]}{ghost}',
            f'{row["num_modules"]}',
            f'{row["peak_bytes"] / 2**30:.2f}',
            f'{row["peak_ratio"]:.2f}',
            f'{row["flops_ratio"]:.2f}',
        ]
        if counted:
            cells += [f'{row["operators"]:,}', f'{row["syncs"]}']
        cells += [
            'not run' if time is None else f'{time:.2f}',
            ', '.join(row['cuts']) if row['num_modules'] < 9 else '...',
        ]
        rows.append(cells)
    rows = [f'| {" | ".join(cells)} |' for cells in rows]
    return '\n'.join([*rows, '', origin(result)])


def pareto_plot(name: str, arms: Optional[List[str]]) -> str:
    """The same as a picture, for docs/memory.md."""
    result = json.loads((RESULTS / f'memory/{name}.json').read_text())
    rows = [r for r in result['rows'] if not arms or r['arm'] in arms]
    plot_pareto(rows, str(ROOT / f'docs/images/{name}.png'))
    text = 'Memory against FLOPs; filled: on the Pareto front'
    return f'![{text}](images/{name}.png)'
