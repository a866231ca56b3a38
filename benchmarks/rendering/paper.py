# Copyright (c) mmfba authors.
"""The tables of the paper."""

import itertools
import json
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, Dict, List, Optional

import yaml

from .common import (
    BP_OPTION,
    METRICS,
    RESULTS,
    ROOT,
    accuracy,
    made_of,
    markdown,
    plain_rows,
)

RATIOS = {
    'peak / BP': 'peak_ratio',
    'FLOPs / BP': 'flops_ratio',
    'operators / BP': 'operators_ratio',
}


def paper_table(number: str, folders: Optional[List[str]]) -> str:
    """A table of the paper, of benchmarks/paper.yml, and what we measured.

    Args:
        number (str): Its number, another key of the file, or ``all``.
        folders (list[str], optional): The rows of these folders of configs/
            only.
    """
    tables = yaml.safe_load((ROOT / 'benchmarks/paper.yml').read_text())
    key = int(number) if number.isdigit() else number
    chosen = tables.values() if key == 'all' else [tables[key]]
    files, trained = measured_costs(), measured_accuracy()
    rows, plain = [], None
    for row in itertools.chain(*chosen):
        for config in row['configs']:
            folder, stem = config.split('/')
            # The first of a row: others have another schedule.
            if folder == 'bp' and config == row['configs'][0]:
                plain = config
            if folders and folder not in folders:
                continue
            cells = {
                'row': row['row'],
                'config': f'[{stem}](../{config}.py)',
                **made_of(next((f[config] for f in files if config in f), {})),
                'paper': row.get('figure', '-'),
                'measured': trained.get(config, 'not run'),
                'paper, memory': row.get('memory', '-'),
                **costs(files, config, plain),
            }
            rows.append(cells)
    return markdown(rows)


def costs(
    files: List[Dict[str, Any]], config: str, plain: Optional[str]
) -> Dict[str, str]:
    """Peak of a config, and peak, FLOPs and operators as multiples of plain
    training's, of a comparison that has both."""
    for found in files:
        if config in found and plain in found:
            row, base = found[config], found[plain]
            return {
                'peak, GiB': f'{row["peak_bytes"] / 2**30:.2f}',
                **{n: _ratio(row, base, key) for n, key in RATIOS.items()},
            }
    return dict.fromkeys(['peak, GiB', *RATIOS], 'not run')


def _ratio(row: Dict[str, Any], base: Dict[str, Any], key: str) -> str:
    both = row.get(key), base.get(key)
    return f'{both[0] / both[1]:.2f}' if all(both) else 'not run'


def measured_costs() -> List[Dict[str, Any]]:
    """The rows of each comparison that are a config with no other options
    than those of all arms."""
    return [
        {config_key(row): row for row in plain_rows(result)}
        for result in comparison_results().values()
    ]


def measured_accuracy() -> Dict[str, str]:
    """What the trainings of these gave, by folder and name of the config: of
    the last comparison among those with the most seeds."""
    found, seeds = {}, {}
    for name, result in comparison_results().items():
        metric = result['metric']
        for row in plain_rows(result):
            key = config_key(row)
            if len(row.get('values', ())) < max(1, seeds.get(key, 0)):
                continue
            measure, _, unit = METRICS.get(metric, (metric, 3, ''))
            text = f'{measure} {accuracy(row, metric)}{unit}'
            if metric.startswith('coco/bbox_mAP') and 'runs' in row:
                text = _coco_columns(row)
            if row['options']:
                path = f'../../benchmarks/comparisons/{name}.py'
                text += f' ([options]({path}))'
            found[key], seeds[key] = text, len(row['values'])
    return found


def _coco_columns(row: Dict[str, Any]) -> str:
    """The columns of the paper's table of COCO."""
    columns = []
    for name, key in dict(mAP='mAP', AP50='mAP_50', AP75='mAP_75').items():
        values = [r['metrics'][f'coco/bbox_{key}'] for r in row['runs']]
        std = f' ± {stdev(values):.3f}' if len(values) > 1 else ''
        columns.append(f'{name} {fmean(values):.3f}{std}')
    return ', '.join(columns)


def comparison_results() -> Dict[str, Dict[str, Any]]:
    """All results of compare_methods.py, by the comparison's name."""
    return {
        path.stem: json.loads(path.read_text())
        for path in sorted((RESULTS / 'comparisons').glob('*.json'))
    }


def config_key(row: Dict[str, Any]) -> str:
    """Folder and name of a row's config."""
    path = Path(row['config'])
    if BP_OPTION in row['options']:
        return f'bp/{path.stem.split("_", 1)[1]}'
    return f'{path.parent.name}/{path.stem}'
