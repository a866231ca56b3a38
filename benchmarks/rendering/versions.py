# Copyright (c) mmfba authors.
"""Runs of tools/check_versions.py."""

import json

from .common import RESULTS


def versions_table(*_) -> str:
    """What tools/check_versions.py ran."""
    rows = [
        '| combination | Python | torch | NumPy | mm libraries | tests | '
        'passed | failed | skipped |',
        '| --- | --- | --- | --- | --- | --- | --- | --- | --- |',
    ]
    notes = []
    results = {
        path.stem: json.loads(path.read_text())
        for path in (RESULTS / 'versions').glob('*.json')
    }
    for name, result in sorted(
        results.items(), key=lambda x: int(x[1]['python'].split('.')[1])
    ):
        packages = result['packages']
        libraries = ', '.join(
            f'{package} {version}'
            for package, version in packages.items()
            if package.startswith(('mm', 'onedl'))
        )
        rows.append(
            f'| {name} | {result["python"]} | {result["torch"]} | '
            f'{packages["numpy"]} | {libraries} | {result["tests"]} | '
            f'{result["passed"]} | {result["failed"]} | {result["skipped"]} |'
        )
        skips = '; '.join(
            f'{reason} ({count})' for reason, count in result['skips'].items()
        )
        notes.append(
            f'{name}: `{result["command"]}`, {result["date"]}, '
            f'{result["machine"]}. Skipped: {skips or "nothing"}.'
        )
    return '\n'.join([*rows, '', *notes])
