# Copyright (c) mmfba authors.
"""Train and test a config with the project's tools, as a user would."""

import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import threading
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Dict, Optional, Sequence

from mmengine.config import Config

from mmfba.local_config import complete

from .environment import describe_environment

_LOADING = threading.Lock()
"""mmengine loads one config at a time."""


def train_and_test(
    config: str,
    folder: Path,
    options: Sequence[str] = (),
    threads: Optional[int] = None,
    run_options: Sequence[str] = (),
) -> Dict[str, Any]:
    """Train and test a config with the tools, in one work directory.

    What is done already is not done again: a training that was broken off
    continues. A training of another config in the same directory is thrown
    away; a change of the package's code is not noticed.

    Args:
        config (str): Path of the config.
        folder (Path): Work directory.
        options (Sequence[str]): ``key=value`` pairs for ``--cfg-options``.
        threads (int, optional): Threads of the tools, which then print to
            ``folder/output.txt``. Defaults to None: PyTorch's choice of
            threads, and the tools print as ever.
        run_options (Sequence[str]): More of ``options``, by which a run is
            not known, such as its precision.

    Returns:
        dict: What :mod:`mmfba.analysis.accuracy` calls a run.

    Raises:
        SystemExit: If a tool fails, or the directory holds other files.
    """
    every = [*options, *run_options]
    extra = ['--cfg-options', *every] if every else []
    stamp, result = folder / 'config.txt', folder / 'result.json'
    text = _config_text(config, every)
    if stamp.exists() and stamp.read_text() != text:
        shutil.rmtree(folder)
    elif not stamp.exists() and folder.exists() and any(folder.iterdir()):
        raise SystemExit(
            f'{folder}: there are files that no earlier training left: '
            'choose another work directory'
        )
    if result.exists():
        return json.loads(result.read_text())
    folder.mkdir(parents=True, exist_ok=True)
    stamp.write_text(text)
    output = None if threads is None else folder / 'output.txt'

    def run(*command: str) -> None:
        run_script(*command, *extra, output=output, threads=threads)

    run('tools/train.py', config, '--work-dir', str(folder), '--resume')
    checkpoint = (folder / 'last_checkpoint').read_text()
    test_dir = folder / 'test'
    run('tools/test.py', config, checkpoint, '--work-dir', str(test_dir))
    newest = max(test_dir.glob('*/*.json'), key=os.path.getmtime)
    found = dict(
        config=config,
        checkpoint=checkpoint,
        metrics=json.loads(newest.read_text().splitlines()[-1]),
        seconds_per_iter=_seconds_per_iter(folder),
        **describe_environment(),
        config_hash=config_hash(config, options),
        run_options=list(run_options),
    )
    result.write_text(json.dumps(found, indent=1) + '\n')
    return found


def config_hash(config: str, options: Sequence[str] = ()) -> str:
    """The first digits of the SHA-256 of all that a config says."""
    text = _config_text(config, options)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _config_text(config: str, options: Sequence[str]) -> str:
    with _LOADING:
        cfg = Config.fromfile(config)
        complete(cfg)
        return '\n'.join([cfg.pretty_text, *options])


def run_script(
    *command: str,
    output: Optional[Path] = None,
    threads: Optional[int] = None,
) -> None:
    """Run a Python script, which prints as ever or, appended, to ``output``.

    Raises:
        SystemExit: If it fails: with its exit status, or with a message that
            names ``output``.
    """
    env = dict(os.environ)
    if threads is not None:
        env['OMP_NUM_THREADS'] = str(threads)
    if output is None:
        print(f'\n$ python {" ".join(command)}', flush=True)
    with output.open('a') if output else nullcontext() as stream:
        done = subprocess.run(
            [sys.executable, '-W', 'ignore', *command],
            env=env,
            stdout=stream,
            stderr=stream,
        )
    if done.returncode:
        raise SystemExit(
            f'failed, see {output}' if output else done.returncode
        )


def _seconds_per_iter(folder: Path) -> float:
    lines = [
        json.loads(line)
        for log in folder.glob('*/vis_data/scalars.json')
        for line in log.read_text().splitlines()
    ]
    return statistics.median(x['time'] for x in lines if 'loss' in x)
