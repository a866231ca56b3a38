# Copyright (c) mmfba authors.
"""The demo, and accuracies."""

import json

from mmfba.analysis.accuracy import order

from .common import METRICS, RESULTS, accuracy, origin, seeds_note

SUMMARY = {
    'ResNet-32, Fashion-MNIST': 'fashion-mnist_peers',
    'RetinaNet-R18, digit scenes': 'digit-scenes_peers',
    'YOLOv1-R18, digit scenes': 'digit-scenes_yolov1',
    'small EDSR x2, photographs': 'photographs_peers',
}
"""The comparison of BP and FBA in each task."""
RATIOS = ('peak_ratio', 'activation_ratio', 'flops_ratio')


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
    """BP and FBA in each task, over seeds."""
    rows = [
        '| network, data | BP | FBA | FBA vs BP | K | peak / BP | rest / BP | '
        'FLOPs / BP |',
        '| --- | --- | --- | --- | --- | --- | --- | --- |',
    ]
    sources = []
    for title, name in SUMMARY.items():
        path = RESULTS / f'comparisons/{name}.json'
        if not path.exists():
            rows.append(f'| {title} |' + ' not run |' * 7)
            continue
        result = json.loads(path.read_text())
        arms = {row['arm']: row for row in result['rows']}
        bp, fba, metric = arms['BP'], arms['FBA'], result['metric']
        measure, _, unit = METRICS[metric]
        cells = [
            title,
            f'{measure} {accuracy(bp, metric)}{unit}',
            f'{measure} {accuracy(fba, metric)}{unit}',
            order(fba, bp) if 'mean' in fba and 'mean' in bp else '',
            str(fba['num_modules']),
            *(f'{fba[key]:.2f}' for key in RATIOS),
        ]
        rows.append(f'| {" | ".join(cells)} |')
        sources.append((title, seeds_note(result), origin(result)))
    notes = {note for _, note, _ in sources}
    shared = notes if len(notes) == 1 else set()  # then once is enough
    origins = [
        ' '.join([f'{title}:', *({note} - shared), text])
        for title, note, text in sources
    ]
    return '\n'.join([*rows, '', *shared, *origins])
