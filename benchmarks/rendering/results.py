# Copyright (c) mmfba authors.
"""The demo, and accuracies."""

import json

from .common import (
    METRICS,
    RESULTS,
    accuracy,
    against,
    made_of,
    markdown,
    origin,
    plain_rows,
    seeds_note,
)

SUMMARY = {
    'ResNet-32, Fashion-MNIST': 'fashion-mnist_recipes',
    'small Swin, Fashion-MNIST': 'fashion-mnist_swin-w32',
    'RetinaNet-R18, digit scenes': 'digit-scenes_recipes',
    'RetinaNet, small Swin, digit scenes': 'digit-scenes_swin',
    'Faster R-CNN-R18, digit scenes': 'digit-scenes_faster-rcnn',
    'fine-tuned RetinaNet-R18, 1,000 digit scenes': 'fine-tuning_1000',
    'YOLOv1-R18, digit scenes': 'digit-scenes_yolov1',
    'small EDSR x2, photographs': 'photographs_recipes',
    'light SwinIR x2, photographs': 'photographs_swinir',
}
"""The comparison of each task."""
ARMS = ('BP', 'SLM only', 'local FPN')
"""Those that are shown: BP, what is recommended, and any config of FBA."""
MORE = (
    'Commands, machines and all other arms: '
    '[methods compared](docs/understanding.md), [side by side]'
    '(docs/methods.md).'
)


def demo_table(*_) -> str:
    """The demo's comparison of BP and local learning."""
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
    """BP, FBA and what is recommended in each task, over seeds."""
    rows, notes, lower = [], set(), []
    for title, name in SUMMARY.items():
        path = RESULTS / f'comparisons/{name}.json'
        if not path.exists():
            continue
        result = json.loads(path.read_text())
        shown = [row for row in plain_rows(result) if _is_shown(row, result)]
        if len(shown) < 2:
            continue  # docs/methods.md has what is not run
        bp, metric = shown[0], result['metric']
        measure, _, unit = METRICS[metric]
        lower += [row['mean'] < bp['mean'] for row in shown[1:]]
        for row in shown:
            cells = {
                'network, data': title,
                'trained by': _without_k(row),
                'K': f'{row["num_modules"]}',
                **made_of(row),
                'accuracy': f'{measure} {accuracy(row, metric)}{unit}',
                'vs BP': against(row, bp, metric),
                'peak / BP': f'{row["peak_ratio"]:.2f}',
                'FLOPs / BP': f'{row["flops_ratio"]:.2f}',
            }
            rows.append(cells)
        notes.add(seeds_note(dict(result, rows=shown)))
    means = (
        f'{sum(lower)} of the {len(lower)} rows of local learning have a '
        'lower mean than BP.'
    )
    return '\n'.join([markdown(rows), '', *sorted(notes), means, MORE])


def _without_k(row: dict) -> str:
    """The arm's name without its number of modules."""
    name, _, rest = row['arm'].partition(f' (K={row["num_modules"]}')
    rest = rest.strip(', )')
    return f'{name} ({rest})' if rest else name


def _is_shown(row: dict, result: dict) -> bool:
    named = row['arm'] in ARMS or row['arm'].startswith('FBA')
    return named and len(row.get('runs', ())) == len(result['seeds'])
