# Copyright (c) mmfba authors.
"""Check which networks of a library's own configs can be trained locally.

A static check of every config that trains a model: its backbone or generator
is cut into four local modules, and every parameter must have exactly one
owner. It needs no GPU, no data and no weights. Broken off, it goes on from
its JSON file; after a change of the engine begin with another.
"""

import argparse
import json
import logging
import warnings
from pathlib import Path

LIBRARIES = ('mmpretrain', 'mmdet', 'mmagic')


def main() -> None:
    """Check the configs and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('library', choices=LIBRARIES)
    parser.add_argument(
        '--out', type=Path, required=True, help='the JSON file'
    )
    args = parser.parse_args()
    from importlib.metadata import version

    from rich.progress import track

    from mmfba.analysis.environment import write_result
    from mmfba.analysis.stock_configs import (
        NUM_MODULES,
        check_networks,
        read_networks,
    )

    logging.disable(logging.WARNING)
    warnings.filterwarnings('ignore')
    known = []
    if args.out.exists():
        known = json.loads(args.out.read_text())['networks']
    found = read_networks(args.library)
    networks, rows = found.pop('networks'), []
    result = dict(
        library=f'{args.library} {version(args.library)}',
        num_modules=NUM_MODULES,
        **found,
    )
    checked = check_networks(networks, known)
    for row, new in track(checked, args.library, total=len(networks)):
        rows.append(row)
        if new or len(rows) == len(networks):
            done = {row['key'] for row in rows}
            later = [row for row in known if row['key'] not in done]
            result['networks'] = rows + later * (len(rows) < len(networks))
            write_result(args.out, 'meta', **result)
    for row in rows:
        if 'reason' in row:
            print(f'{row["configs"][0]} ({row["type"]}): {row["reason"]}')
    cut = sum(len(row['configs']) for row in rows if 'cuts' in row)
    total = sum(len(row['configs']) for row in rows)
    print(f'{cut} of {total} configs')


if __name__ == '__main__':
    main()
