# Copyright (c) mmfba authors.
"""What the tables share."""

from pathlib import Path
from typing import Any, Dict, List

from mmfba.analysis.accuracy import ORDER_NOTE, difference, order

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / 'benchmarks/results'
METRICS = {
    'accuracy/top1': ('top-1', 2, ' %'),
    'photographs/PSNR': ('PSNR', 2, ' dB'),
    'RGB/PSNR': ('PSNR', 2, ' dB'),
    'pascal_voc/mAP': ('mAP', 3, ''),
    'coco/bbox_mAP': ('mAP', 3, ''),
    'coco/bbox_mAP_50': ('AP50', 3, ''),
}
"""Name, decimals and unit of each main metric."""
BP_OPTION = 'model.local_learning.num_modules=1'
"""With it a config of FBA is that of plain training."""


def accuracy(row: Dict[str, Any], metric: str) -> str:
    """Mean and standard deviation of a row of a comparison."""
    if 'mean' not in row:
        return 'not run'
    _, decimals, _ = METRICS.get(metric, (metric, 3, ''))
    numbers = (
        [row['mean']] if row['std'] is None else [row['mean'], row['std']]
    )
    return ' ± '.join(f'{number:.{decimals}f}' for number in numbers)


def against(row: Dict[str, Any], other: Dict[str, Any], metric: str) -> str:
    """How far an arm is above another, with the confidence interval, and in
    words where that shows an order."""
    if row is other or 'mean' not in row or 'mean' not in other:
        return ''
    found = difference(row, other)
    if found is None:
        return 'one seed'
    _, decimals, _ = METRICS.get(metric, (metric, 3, ''))
    mean, low, high = (f'{number:+.{decimals}f}' for number in found)
    words = {'better': ', better', 'worse': ', worse'}
    return f'{mean} [{low}, {high}]{words.get(order(row, other), "")}'


def made_of(row: Dict[str, Any]) -> Dict[str, str]:
    """What a row's auxiliary networks have: SLM, entries of the bank that are
    read and in how many modules, head."""
    columns = dict(SLM='slm', bank='bank', head='head')
    return {name: row.get(key, '-') for name, key in columns.items()}


def seeds_note(result: Dict[str, Any]) -> str:
    """How many seeds its trainings had, and what an order means."""
    seeds = len(result['seeds'])
    run = {len(row.get('values', ())) for row in result['rows']}
    if run == {1} == {seeds}:
        return 'One seed.'
    text = f'Mean and standard deviation of {seeds} seeds.'
    if run != {seeds}:
        done = ' to '.join(map(str, sorted({min(run), max(run)})))
        text = f'Not complete: {done} of {seeds} seeds.'
    return f'{text} {ORDER_NOTE}'


def markdown(rows: List[Dict[str, str]]) -> str:
    """A table of rows that have the same columns."""
    lines = [[*rows[0]], ['---'] * len(rows[0])]
    lines += [[*row.values()] for row in rows]
    return '\n'.join(f'| {" | ".join(cells)} |' for cells in lines)


def origin(result: Dict[str, Any]) -> str:
    """Machine, command and date of a result."""
    note = f' {result["note"]}' if result.get('note') else ''
    return (
        f'`{result["command"]}`, {result["date"]}, {result["device"]} '
        f'({result["machine"]}), torch {result["torch"]}.{note}'
    )


def plain_rows(result: Dict[str, Any]) -> List[Dict[str, Any]]:
    """Rows that are a config with no other options than all arms have."""
    rows = result['rows']
    shared = set.intersection(*(set(row['options']) for row in rows))
    return [row for row in rows if {*row['options']} - {BP_OPTION} == shared]
