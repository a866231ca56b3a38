# Copyright (c) mmfba authors.
"""Runs of tools/analysis_tools/check_stock_configs.py."""

import json
from collections import Counter
from typing import Any, Dict, Iterator, List, Tuple

from .common import RESULTS

LIBRARIES = ('mmpretrain', 'mmdet', 'mmagic')


def supported_table(name: str, _: Any) -> str:
    """One of the tables of docs/supported.md."""
    tables = dict(
        libraries=_libraries,
        failures=_failures,
        short=_short,
        unreadable=_unreadable,
        others=_others,
        families=_families,
    )
    results = {
        library: json.loads(
            (RESULTS / f'supported/{library}.json').read_text()
        )
        for library in LIBRARIES
    }
    return '\n'.join(tables[name](results))


Results = Dict[str, Dict[str, Any]]


def _libraries(results: Results) -> List[str]:
    rows = [
        '| library | networks | configs | cut into four | percent | into '
        'fewer | not cut | unreadable | train no model | other tasks |',
        '| --- ' * 10 + '|',
    ]
    notes = []
    for result in results.values():
        count = _count(result)
        four = count['cut'] - count['short']
        share = 100 * four / count['configs']
        failed = count['configs'] - count['cut']
        others = sum(result['other_tasks'].values())
        rows.append(
            f'| {result["library"]} | {len(result["networks"])} | '
            f'{count["configs"]} | {four} | {share:.1f} | {count["short"]} | '
            f'{failed} | {len(result["unreadable"])} | '
            f'{result["not_trained"]} | {others} |'
        )
        notes.append(
            f'`{result["command"]}`, {result["date"]}, {result["device"]} '
            f'({result["machine"]}), torch {result["torch"]}.'
        )
    return [*rows, '', '\n'.join(notes)]


def _failures(results: Results) -> List[str]:
    rows = ['| config | network | reason |', '| --- ' * 3 + '|']
    for library, row in _rows(results):
        if 'reason' in row:
            rows += [
                f'| {library}: {name} | {_name(row)} | '
                f'{_cell(row["reason"])} |'
                for name in row['configs']
            ]
    return rows if len(rows) > 2 else ['None.']


def _short(results: Results) -> List[str]:
    rows = ['| config | network | cuts after |', '| --- ' * 3 + '|']
    for library, row in _rows(results):
        if _is_short(results[library], row):
            rows += [
                f'| {library}: {name} | {_name(row)} | '
                f'{", ".join(row["cuts"])} |'
                for name in row['configs']
            ]
    return rows if len(rows) > 2 else ['None.']


def _unreadable(results: Results) -> List[str]:
    rows = ['| config | reason |', '| --- ' * 2 + '|']
    for library, result in results.items():
        rows += [
            f'| {library}: {row["config"]} | {_cell(row["reason"])} |'
            for row in result['unreadable']
        ]
    return rows


def _others(results: Results) -> List[str]:
    lines = []
    for library, result in results.items():
        others = result['other_tasks']
        if others:
            models = ', '.join(f'{k} ({n})' for k, n in others.items())
            lines.append(f'- {library}, {sum(others.values())}: {models}.')
    return lines


def _families(results: Results) -> List[str]:
    configs: Dict[Tuple[str, str], Counter] = {}
    for library, row in _rows(results):
        count = configs.setdefault((library, _name(row)), Counter())
        count['networks'] += 1
        count['configs'] += len(row['configs'])
        count['cut'] += len(row['configs']) * ('cuts' in row)
    rows = [
        '| library | network | kinds | configs | cut |',
        '| --- ' * 5 + '|',
    ]
    for (library, name), count in sorted(
        configs.items(),
        key=lambda item: (
            LIBRARIES.index(item[0][0]),
            -item[1]['configs'],
            item[0][1].lower(),
        ),
    ):
        rows.append(
            f'| {library} | {name} | {count["networks"]} | '
            f'{count["configs"]} | {count["cut"]} |'
        )
    return rows


def _rows(results: Results) -> Iterator[Tuple[str, Dict[str, Any]]]:
    for library, result in results.items():
        for row in result['networks']:
            yield library, row


def _count(result: Dict[str, Any]) -> Counter:
    count: Counter = Counter()
    for row in result['networks']:
        number = len(row['configs'])
        count['configs'] += number
        count['cut'] += number * ('cuts' in row)
        count['short'] += number * _is_short(result, row)
    return count


def _is_short(result: Dict[str, Any], row: Dict[str, Any]) -> bool:
    return 'cuts' in row and len(row['cuts']) + 1 < result['num_modules']


def _name(row: Dict[str, Any]) -> str:
    return 'without a type' if row['type'] == 'None' else row['type']


def _cell(text: str) -> str:
    return text.replace('|', '\\|').replace('<', '&lt;')
