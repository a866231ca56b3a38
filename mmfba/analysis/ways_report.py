# Copyright (c) mmfba authors.
"""Ways to train as a table, and what to do."""

import math
from collections.abc import Sequence
from typing import Optional

from rich.table import Table

from .way import Way

GIB = 2**30
NOTE = (
    'Peaks are those of tensors; CUDA itself takes some hundred MiB more. '
    'Time, an estimate for a\nGPU of 8 to 12 GB, and FLOPs are ratios to '
    'plain training.'
)
NEARLY = (
    'nearly: each part of a batch is divided by the number of its own '
    'objects, as on several GPUs.'
)


def ways_table(
    ways: Sequence[Way], best: Optional[Way], budget: float
) -> tuple[Table, list[str]]:
    """The table, and what has to be known to read it.

    Args:
        ways (Sequence[Way]): By their rank, plain training first.
        best (Way, optional): The recommended one.
        budget (float): Bytes.
    """
    stock = ways[0]
    measured = any(way.measured for way in ways)
    table = Table(box=None)
    for name in ('', '#'):
        table.add_column(name, justify='right')
    table.add_column('way to train', overflow='fold')
    names = ['peak, GiB', *(['measured', 's / step'] if measured else [])]
    names += ['fits', 'time', 'FLOPs', 'exact gradients']
    for name in names:
        table.add_column(name, justify='right')
    for number, way in enumerate(ways, 1):
        profile, base = way.profile, stock.profile
        table.add_row(
            '>' if way is best else '',
            str(number),
            way.words,
            f'{profile.peak_bytes / GIB:.2f}' if profile else '?',
            *(_measured(way) if measured else ()),
            _fits(way, budget),
            f'{way.seconds / stock.seconds:.2f}' if profile else '?',
            f'{profile.flops / base.flops:.2f}' if profile and base else '?',
            way.exact,
        )
    notes = [NOTE] if stock.profile else []
    if measured:
        notes.append('measured: GiB that PyTorch handed out on the GPU here.')
    if any(way.exact == 'nearly' for way in ways):
        notes.append(NEARLY)
    return table, notes


def _fits(way: Way, budget: float) -> str:
    if not (way.profile or way.measured):
        return '?'
    return 'yes' if way.peak <= budget else 'no'


def _measured(way: Way) -> list[str]:
    if not way.measured:
        return ['', '']
    peak, seconds = way.measured
    if math.isinf(peak):
        return ['out of memory', '']
    return [f'{peak / GIB:.2f}', f'{seconds:.3f}']


def verdict(ways: Sequence[Way], best: Optional[Way], budget: float) -> str:
    """What to do, with the arguments of :func:`ways_table`."""
    limit = f'{budget / GIB:.2f} GiB'
    if best is None and ways[0].profile is None:
        return 'Peaks are not known, so that no way is recommended.'
    if best is None:
        least = min(ways, key=lambda way: way.peak)
        return (
            f'Nothing fits into {limit}: the least is {ways.index(least) + 1} '
            f'with {least.peak / GIB:.2f} GiB. Make the batch or the images '
            'smaller.'
        )
    if not best.changes:
        return f'It fits into {limit} as it is: train the config you have.' + (
            ' mmfba is not needed.' if best.stock else ''
        )
    number = ways.index(best) + 1
    if best.exact == 'no':
        return (
            f'Recommended: {number}, local learning. No way with exact '
            f'gradients fits into {limit}; measure accuracy on your task.'
        )
    needless = 'mmfba' if best.stock else 'Local learning'
    return (
        f'Recommended: {number}, {best.words}. {needless} is not needed '
        f'for {limit}.'
    )
