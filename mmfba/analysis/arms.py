# Copyright (c) mmfba authors.
import json
import os
import shutil
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, Sequence

from mmengine.config import Config


def run_arm(
    config: str, folder: Path, options: Sequence[str] = ()
) -> Dict[str, Any]:
    """Train and test one arm of a comparison, as a user would.

    Runs tools/train.py and tools/test.py of the current directory. A training
    that was broken off continues; one of another config is thrown away.

    Args:
        config (str): Path of the config.
        folder (Path): Work directory of the arm.
        options (Sequence[str]): ``key=value`` pairs for ``--cfg-options``.
            Defaults to ().

    Returns:
        dict: Config, checkpoint, metrics and seconds per iteration, the
        median over the training log.

    Raises:
        SystemExit: If a tool fails, with its exit status.
    """
    extra = ['--cfg-options', *options] if options else []
    stamp = folder / 'config.txt'
    text = '\n'.join([Config.fromfile(config).pretty_text, *options])
    if folder.exists() and (not stamp.exists() or stamp.read_text() != text):
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    stamp.write_text(text)
    run_script(
        'tools/train.py', config, '--work-dir', str(folder), '--resume', *extra
    )
    checkpoint = (folder / 'last_checkpoint').read_text()
    run_script(
        'tools/test.py',
        config,
        checkpoint,
        '--work-dir',
        str(folder / 'test'),
        *extra,
    )
    newest = max((folder / 'test').glob('*/*.json'), key=os.path.getmtime)
    return dict(
        config=config,
        checkpoint=checkpoint,
        metrics=json.loads(newest.read_text().splitlines()[-1]),
        seconds_per_iter=_seconds_per_iter(folder),
    )


def run_script(*command: str) -> None:
    """Run a Python script; stop with its exit status if it fails.

    Args:
        *command (str): Its path and arguments.
    """
    print(f'\n$ python {" ".join(command)}', flush=True)
    done = subprocess.run([sys.executable, '-W', 'ignore', *command])
    if done.returncode:
        sys.exit(done.returncode)


def _seconds_per_iter(folder: Path) -> float:
    lines = [
        json.loads(line)
        for log in folder.glob('*/vis_data/scalars.json')
        for line in log.read_text().splitlines()
    ]
    return statistics.median(x['time'] for x in lines if 'loss' in x)
