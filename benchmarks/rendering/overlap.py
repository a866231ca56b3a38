# Copyright (c) mmfba authors.
"""Runs of benchmarks/overlap.py."""

import json

from .common import RESULTS, origin


def overlap_table(name: str, _) -> str:
    """What of the gradients travels while others are computed."""
    path = RESULTS / f'distributed/{name}.json'
    result = json.loads(path.read_text())
    rows = [
        '| gradients are averaged | K | MB | started | arrived | late, s | '
        'losses wait, s | step, s | time / BP |',
        '| --- ' * 9 + '|',
    ]
    for row in result['rows']:
        rows.append(
            f'| {row["arm"]} | {row["num_modules"]} | '
            f'{row["bytes"] / 1e6:.0f} | {row["started"]:.0%} | '
            f'{row["arrived"]:.0%} | {row["late_seconds"]:.2f} | '
            f'{row["waited_seconds"]:.2f} | {row["step_seconds"]:.2f} | '
            f'{row["step_time_ratio"]:.2f} |'
        )
    what = (
        f'`{result["config"]}`, all trained, {result["batch"]} images of '
        f'{result["shape"][0]} pixels a process, medians of '
        f'{result["steps"]} steps. '
    )
    return '\n'.join([*rows, '', what + origin(result)])
