# Copyright (c) mmfba authors.
"""What the tables share."""

from pathlib import Path
from typing import Any, Dict

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / 'benchmarks/results'
METRICS = {
    'accuracy/top1': ('top-1', 2, ' %'),
    'photographs/PSNR': ('PSNR', 2, ' dB'),
    'coco/bbox_mAP': ('mAP', 3, ''),
    'coco/bbox_mAP_50': ('AP50', 3, ''),
}
"""Name, decimals and unit of each main metric."""


def accuracy(row: Dict[str, Any], metric: str) -> str:
    """Mean and standard deviation of a row of a comparison."""
    if 'mean' not in row:
        return 'not run'
    _, decimals, _ = METRICS.get(metric, (metric, 3, ''))
    numbers = (
        [row['mean']] if row['std'] is None else [row['mean'], row['std']]
    )
    return ' ± '.join(f'{number:.{decimals}f}' for number in numbers)


def origin(result: Dict[str, Any]) -> str:
    """Machine, command and date of a result."""
    note = f' {result["note"]}' if result.get('note') else ''
    return (
        f'`{result["command"]}`, {result["date"]}, {result["device"]} '
        f'({result["machine"]}), torch {result["torch"]}.{note}'
    )
