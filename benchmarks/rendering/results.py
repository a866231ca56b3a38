# Copyright (c) mmfba authors.
"""The demo, and accuracies."""

import json

from .common import RESULTS, link, measured, origin


def demo_table(*_) -> str:
    """The demo's comparison of BP and FBA."""
    result = json.loads((RESULTS / 'demo.json').read_text())
    rows = [
        '| RetinaNet-R18, digit scenes | mAP | AP50 | peak memory of a step | '
        'of it static | the rest | FLOPs | s / iter |',
        '| --- | --- | --- | --- | --- | --- | --- | --- |',
    ]
    flops = result['rows'][0]['gflops']
    for row in result['rows']:
        rows.append(
            f'| {row["arm"]} | {row["map"]:.3f} | {row["ap50"]:.3f} | '
            f'{row["peak_mib"]:.0f} MiB | {row["static_mib"]:.0f} MiB | '
            f'{row["activation_mib"]:.0f} MiB '
            f'({row["activation_ratio"]:.0%}) | '
            f'{row["gflops"] / flops:.2f}x | '
            f'{row["seconds_per_iter"]:.2f} |'
        )
    return '\n'.join(rows) + (
        '\n\nOne run of each arm with the same initial weights, seed and '
        'schedule; a narrow network on small images. Static: weights, '
        'optimizer state, batch.\n' + origin(result)
    )


def results_table(*_) -> str:
    """Accuracy of all other comparisons."""
    rows = ['| config | measured | s / iter |', '| --- | --- | --- |']
    origins = []
    for path in sorted(RESULTS.glob('*.json')):
        result = json.loads(path.read_text())
        if path.stem == 'demo':
            rows += [
                f'| {link(row["config"])} | mAP {row["map"]:.3f} | '
                f'{row["seconds_per_iter"]:.2f} |'
                for row in result['rows']
            ]
            continue
        rows += [
            f'| {link(row["config"])} | {measured(row["metrics"])} | '
            f'{row["seconds_per_iter"]:.2f} |'
            for row in result['rows']
        ]
        origins.append(f'{path.stem}: {origin(result)}')
    return '\n'.join(rows + [''] + origins)
