# Copyright (c) mmfba authors.
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from .comparison import Arm
from .train_and_test import train_and_test

LINE = re.compile(r'Epoch\(train\)\s+\[(\d+)\]\[\s*(\d+)/(\d+)\]')
"""Of MMEngine's log: epoch, iteration, iterations of an epoch."""


def train_side_by_side(
    arms: Mapping[str, str], work_dir: Path, options: Sequence[str] = ()
) -> dict[str, dict[str, Any]]:
    """Train and test several configs at a time, each with one thread.

    One display shows how far they are. Started again it continues.

    Args:
        arms (Mapping[str, str]): Paths of the configs by their names.
        work_dir (Path): Each has a folder in it, named as that of its config.
        options (Sequence[str]): ``key=value`` pairs for ``--cfg-options``.

    Returns:
        dict[str, dict]: What :func:`train_and_test` returns, by name.

    Raises:
        SystemExit: If a tool fails, after the others are done.
    """
    folders = {n: work_dir / Path(c).parent.name for n, c in arms.items()}
    epochs = {
        name: Arm(name, config, tuple(options)).load().train_cfg.max_epochs
        for name, config in arms.items()
    }
    columns = [TextColumn('{task.description}'), BarColumn()]
    columns += [TextColumn('{task.fields[state]}'), TimeRemainingColumn()]
    with ThreadPoolExecutor(len(arms)) as pool, Progress(*columns) as bar:
        tasks, runs = {}, {}
        for name, config in arms.items():
            tasks[name] = bar.add_task(name, total=None, state='starts')
            runs[name] = pool.submit(
                train_and_test, config, folders[name], options, 1
            )
        running = set(runs.values())
        while running:
            running = wait(running, timeout=1).not_done
            for name, run in runs.items():
                log = folders[name] / 'output.txt'
                state = read_progress(log, epochs[name])
                if run.done():
                    state = dict(total=1, completed=1)
                    state['state'] = 'failed' if run.exception() else 'done'
                bar.update(tasks[name], **state)
    return {name: run.result() for name, run in runs.items()}


def read_progress(log: Path, epochs: int) -> dict[str, Any]:
    """How far a training is.

    Args:
        log (Path): What it prints.
        epochs (int): How many it has.

    Returns:
        dict: ``completed`` and ``total`` iterations, and ``state`` in words;
        empty before there are any.
    """
    found = LINE.findall(log.read_text()) if log.exists() else []
    if not found:
        return {}
    epoch, iteration, length = map(int, found[-1])
    completed, total = (epoch - 1) * length + iteration, epochs * length
    state = f'epoch {epoch} of {epochs}'
    return dict(completed=completed, total=total, state=state)
