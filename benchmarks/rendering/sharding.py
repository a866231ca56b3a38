# Copyright (c) mmfba authors.
"""Runs of benchmarks/sharding.py."""

import json
from typing import Any, Dict, List, Optional

from .common import RESULTS, markdown, origin

COLUMNS = {
    'wrapper': lambda row: _label(row),
    'parameters, M': lambda row: f'{row["parameters"] / 1e6:.1f}',
    'weights at most': lambda row: _megabytes(row['weights']),
    'between steps': lambda row: _megabytes(row['between_steps']),
    'peak': lambda row: _megabytes(row['peak']),
    'gathered': lambda row: _times(row['gathered']),
    'scattered': lambda row: _times(row['scattered']),
    'reduced': lambda row: _times(row['reduced']),
    'sent a step': lambda row: _megabytes(row['sent']),
}


def sharding_table(name: str, _: Optional[List[str]]) -> str:
    """What each process holds and sends."""
    result = json.loads((RESULTS / f'distributed/{name}.json').read_text())
    table = markdown(
        [{key: f(row) for key, f in COLUMNS.items()} for row in result['rows']]
    )
    note = (
        f'`{result["config"]}`, AdamW, {result["images"]} image in each of '
        f'{result["processes"]} processes, in MB of 10^6 bytes. Weights at '
        'most: shards and what is gathered. Between steps: weights, state of '
        'the optimizer and what the wrapper keeps, such as the buckets of '
        'DDP. Peak: all tensors of a step. Gathered, scattered and reduced: '
        'times each parameter. Sent: by each process, over a ring.'
    )
    return '\n'.join([table, '', note, '', origin(result)])


def _label(row: Dict[str, Any]) -> str:
    modules = row['num_modules']
    return row['name'] + (f', K={modules}' if modules > 1 else '')


def _megabytes(value: int) -> str:
    return f'{value / 1e6:.0f}'


def _times(value: float) -> str:
    return f'{value:.2f}' if round(value, 2) else '-'
