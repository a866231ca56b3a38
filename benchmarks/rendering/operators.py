# Copyright (c) mmfba authors.
"""Runs of benchmarks/operators.py."""

import json

from .common import RESULTS, origin


def operators_table(*_) -> str:
    """Operators of a step of stock configs, plainly and in four modules."""
    result = json.loads((RESULTS / 'operators.json').read_text())
    rows = [
        '| model | plain | K=4 | K=4 / plain | with copies of the main head | '
        'fused optimizer, plain | K=4 |',
        '| --- ' * 7 + '|',
    ]
    for row in result['rows']:
        plain, copies = row['plain'], row.get('copies')
        ratio = f'{copies / plain:.2f}' if copies else '-'
        rows.append(
            f'| {row["model"]} | {plain:,} | {row["local"]:,} | '
            f'{row["local"] / plain:.2f} | {ratio} | '
            f'{row["plain_fused"]:,} | {row["local_fused"]:,} |'
        )
    sides = result['sides']
    what = (
        f'Stock configs from random weights, {result["batch"]} images of '
        f'{sides["mmdet"]} (detection), {sides["mmpretrain"]} '
        f'(classification) and {sides["mmagic"]} pixels (super-resolution). '
    )
    return '\n'.join([*rows, '', what + origin(result)])
