# Copyright (c) mmfba authors.
"""Train and test over gloo in this process; then none of its threads is left.

Usage: python gloo_threads.py CONFIG
"""

import os
import sys
from pathlib import Path

from run_tool import free_port, load_tool


def main() -> None:
    os.environ.update(
        MASTER_ADDR='127.0.0.1',
        MASTER_PORT=str(free_port()),
        RANK='0',
        WORLD_SIZE='1',
    )
    config = sys.argv[1]
    for tool, files in (('train', []), ('test', ['w/epoch_1.pth'])):
        load_tool(tool).main(
            [config, *files, '--work-dir', 'w', '--launcher', 'pytorch']
        )
        names = [
            (task / 'comm').read_text()
            for task in Path('/proc/self/task').iterdir()
        ]
        assert not any('gloo' in name for name in names), (tool, names)


if __name__ == '__main__':
    main()
