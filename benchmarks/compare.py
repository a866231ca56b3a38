# Copyright (c) mmfba authors.
"""Train and test several configs and write their metrics to one JSON.

python benchmarks/compare.py BP.py FBA.py --work-dir DIR --out FILE.json
"""

import argparse
import json
import shlex
import sys
from pathlib import Path

from mmfba.analysis.environment import describe_environment
from mmfba.analysis.train_and_test import train_and_test


def main() -> None:
    """Run the comparison; broken off, it continues where it was."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('configs', nargs='+', help='one config for each arm')
    parser.add_argument('--work-dir', type=Path, required=True)
    parser.add_argument('--out', type=Path, required=True)
    parser.add_argument('--note', help='a remark to keep with the results')
    parser.add_argument('--cfg-options', nargs='+', default=[])
    args = parser.parse_args()
    rows = [
        train_and_test(
            config, args.work_dir / Path(config).stem, args.cfg_options
        )
        for config in args.configs
    ]
    results = dict(
        command=f'python {shlex.join(sys.argv)}',
        **describe_environment(),
        note=args.note,
        rows=[
            {k: v for k, v in row.items() if k != 'checkpoint'} for row in rows
        ],
    )
    args.out.write_text(json.dumps(results, indent=1) + '\n')
    print(f'{args.out} written')


if __name__ == '__main__':
    main()
