# Copyright (c) mmfba authors.
"""The README's four ways to train one network: memory and time."""

import json
from typing import Any, Dict, List

from matplotlib.figure import Figure

from mmfba.analysis.plots import COLORS, tidy

from .common import RESULTS, ROOT

LOCAL = 'local+stem+balanced+chunk+checkpoint'
WAYS = {
    'bp': 'plain training',
    'cp': 'checkpointing (`with_cp=True`)',
    'stem+checkpoint+chunk': 'mmfba, exact gradients',
    LOCAL: 'mmfba, local learning (K=4), recomputed',
}
"""Arms of tools/analysis_tools/benchmark_memory.py in words."""


def ways_table(name: str, *_) -> str:
    """Table and picture of ``memory/NAME_2x800x1344.json``, with the times of
    ``memory/NAME_2x320x416_cpu.json``."""
    result = _read(f'{name}_2x800x1344')
    timed = _read(f'{name}_2x320x416_cpu')
    times = {row['arm']: row['step_time_ratio'] for row in timed['rows']}
    rows = [row for row in result['rows'] if row['arm'] in WAYS]
    _plot(rows, times)
    lines = [
        '| way to train | exact gradients | peak, GiB | of plain | FLOPs | '
        'time |',
        '| --- | --- | --- | --- | --- | --- |',
    ]
    for row in rows:
        exact = 'yes' if row['num_modules'] == 1 else 'no'
        lines.append(
            f'| {WAYS[row["arm"]]} | {exact} | '
            f'{row["peak_bytes"] / 2**30:.2f} | {row["peak_ratio"]:.0%} | '
            f'{row["flops_ratio"]:.2f} | {times[row["arm"]]:.2f} |'
        )
    return '\n'.join([*lines, '', PICTURE, '', _note(result, timed)])


PICTURE = (
    '![Peak memory and time of a training step, four ways]'
    '(docs/images/ways.png)'
)


def _note(result: Dict[str, Any], timed: Dict[str, Any]) -> str:
    height, width = timed['shape']
    here, there = (
        ', '.join(row['cuts'])
        for found in (result, timed)
        for row in found['rows']
        if row['arm'] == LOCAL
    )
    return (
        'Stock RetinaNet-R50 of mmdet, fine-tuned, two images of '
        f'{result["shape"][0]}x{result["shape"][1]}: what tensors take at '
        'the peak of a step with the kernels of a GPU, counted on '
        "PyTorch's meta device. Time: of a step, to plain training's, on "
        f'one CPU thread with images of {height}x{width}; on a GPU it was not '
        'run. Local learning has a local FPN, without an SLM, and is cut '
        f'where that size needs the least memory: after {here}; for the '
        f'time after {there}. [All ways, networks and commands]'
        '(docs/memory.md).'
    )


def _read(name: str) -> Dict[str, Any]:
    return json.loads((RESULTS / f'memory/{name}.json').read_text())


def _plot(rows: List[Dict[str, Any]], times: Dict[str, float]) -> None:
    figure = Figure(figsize=(9, 2.3), dpi=100, layout='constrained')
    left, right = figure.subplots(1, 2, sharey=True)
    names = [WAYS[row['arm']].replace('`', '') for row in rows]
    _bars(left, names, [row['peak_bytes'] / 2**30 for row in rows])
    _bars(right, names, [times[row['arm']] for row in rows])
    left.set_title('peak memory of a step, GiB', loc='left', fontsize=10)
    right.set_title('time of a step / plain', loc='left', fontsize=10)
    left.invert_yaxis()
    figure.savefig(ROOT / 'docs/images/ways.png')


def _bars(axes: Any, names: List[str], values: List[float]) -> None:
    bars = axes.barh(names, values, color=COLORS[: len(names)], height=0.6)
    axes.bar_label(bars, fmt='%.2f', padding=3, fontsize=9)
    axes.margins(x=0.15)
    axes.tick_params(left=False)
    tidy(axes)
