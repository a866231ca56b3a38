# Copyright (c) mmfba authors.
"""The paper's method, ours, and what is recommended, task by task."""

import json

from .common import RESULTS, markdown, seeds_note
from .comparison import arm_cells

TASKS = {
    'classification: ResNet-32, Fashion-MNIST': (
        'fashion-mnist_recipes',
        ('paper, s1', 'FBA', 'FBA (K=3)'),
    ),
    'detection with an FPN: RetinaNet-R18, digit scenes': (
        'digit-scenes_recipes',
        ('paper, s1', 'FBA (K=2)', 'local FPN'),
    ),
    'detection without a neck: YOLOv1-R18, digit scenes': (
        'digit-scenes_yolov1',
        ('paper, s1', 'FBA', 'BP'),
    ),
    'super-resolution: EDSR x2, photographs': (
        'photographs_recipes',
        ('paper, s1', 'FBA', 'FBA (K=2, lr x3)'),
    ),
}
"""The comparison of each task, and its arms for ``METHODS``."""
METHODS = ('paper, `s1`', 'our FBA', 'recommended')


def side_by_side_table(*_) -> str:
    """Three rows of each task."""
    rows, notes = [], set()
    for task, (name, arms) in TASKS.items():
        path = RESULTS / f'comparisons/{name}.json'
        result = json.loads(path.read_text())
        by_name = {row['arm']: row for row in result['rows']}
        for method, arm in zip(METHODS, arms):
            cells = arm_cells(by_name[arm], result)
            row = dict(task=task, method=method, arm=cells['arm'])
            row.update({key: cells.get(key, '...') for key in MADE_OF})
            row['accuracy'] = cells[result['metric']]
            row.update({key: cells[key] for key in COSTS})
            rows.append(row)
        trained = [by_name[a] for a in arms if 'mean' in by_name[a]]
        notes.add(seeds_note(dict(result, rows=trained)))
    return '\n'.join([markdown(rows), '', *sorted(notes)])


MADE_OF = ('K', 'cuts after', 'SLM', 'bank', 'head')
COSTS = ('vs BP', 'peak / BP', 'FLOPs / BP', 'operators / BP')
