# Copyright (c) mmfba authors.
"""Several configs, or settings of one, compared over several seeds."""

import argparse
import os
import re
import statistics
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Optional

from mmengine.config import Config, DictAction

from .benchmark import ArmRun, measure
from .train_and_test import train_and_test

ORDER_NOTE = (
    'vs FBA: an order is claimed only where the means differ by more than two '
    'standard deviations, those of the arm that varies more.'
)
KEYS = ('metric', 'shape', 'arms', 'config', 'options', 'seeds')


@dataclass(frozen=True)
class Arm:
    """One row of a comparison.

    Args:
        name (str): What the table calls it.
        config (str): Path of its config.
        options (tuple[str]): ``key=value`` pairs as behind
            ``--cfg-options``.
    """

    name: str
    config: str
    options: tuple[str, ...] = ()

    @property
    def folder(self) -> str:
        """str: Its name as part of a path."""
        return re.sub(r'[^\w.=-]+', '-', self.name).strip('-')

    def load(self) -> Config:
        """The config with the options merged."""
        cfg = Config.fromfile(self.config)
        parser = argparse.ArgumentParser()
        parser.add_argument('options', nargs='*', action=DictAction)
        cfg.merge_from_dict(parser.parse_args(self.options).options or {})
        return cfg


@dataclass(frozen=True)
class Comparison:
    """What a comparison file says.

    Args:
        metric (str): The test metric to compare, such as
            ``'coco/bbox_mAP'``.
        shape (tuple[int, int]): Height and width of the network's input.
        arms (tuple[Arm]): The first is the one that ratios refer to.
        seeds (tuple[int]): Each arm is trained with each of them.
    """

    metric: str
    shape: tuple[int, int]
    arms: tuple[Arm, ...]
    seeds: tuple[int, ...] = (0, 1, 2)

    @classmethod
    def from_file(cls, path: str) -> 'Comparison':
        """Read a comparison file.

        It is a config with the keys ``metric``, ``shape`` and ``arms``: a
        dict from the name of each arm to a dict of its ``config`` and
        ``options``. Beside them, ``config`` is that of arms which name none,
        ``options`` are those of all arms, and ``seeds`` are used for each.

        Args:
            path (str): The file.

        Raises:
            ValueError: If something in it is wrong.
        """
        cfg = Config.fromfile(path)
        unknown = [key for key in cfg if key not in KEYS]
        missing = [key for key in KEYS[:3] if key not in cfg]
        if unknown or missing:
            raise ValueError(
                f'{path}: unknown keys {unknown}, missing keys {missing}; '
                f'keys: {[*KEYS]}'
            )
        arms = []
        for name, arm in cfg.arms.items():
            config = arm.get('config', cfg.get('config', ''))
            if not Path(config).is_file():
                raise ValueError(
                    f'{path}: arms[{name!r}].config={config!r}: no such file'
                )
            options = [*cfg.get('options', ()), *arm.get('options', ())]
            arms.append(Arm(name, config, tuple(options)))
        if len({arm.folder for arm in arms}) < len(arms):
            raise ValueError(f'{path}: two arms have nearly the same name')
        seeds = tuple(cfg.get('seeds', (0, 1, 2)))
        return cls(cfg.metric, tuple(cfg.shape), tuple(arms), seeds)


def measure_costs(
    comparison: Comparison, device: str = 'meta', steps: int = 0
) -> list[dict[str, Any]]:
    """Memory, FLOPs and time of a training step of each arm.

    The batch has the size of the first arm's training batch and random
    content.

    Args:
        comparison (Comparison): The comparison.
        device (str): See :class:`ArmRun`. Defaults to ``'meta'``.
        steps (int): See :func:`mmfba.analysis.benchmark.benchmark`. Defaults
            to 0.

    Returns:
        list[dict]: A row for each arm.
    """
    batch_size = comparison.arms[0].load().train_dataloader.batch_size

    def run(arm: Arm) -> ArmRun:
        cfg = arm.load()
        return ArmRun(cfg, 'fba', batch_size, comparison.shape, device)

    factories = {arm.name: partial(run, arm) for arm in comparison.arms}
    return measure(factories, steps)[0]


def train_all(
    comparison: Comparison,
    work_dir: Path,
    jobs: int = 1,
    progress: Callable[[int, int, str], None] = lambda *_: None,
) -> dict[str, dict[str, Any]]:
    """Train and test each arm with each seed.

    Started again it continues: finished runs are read, others resumed.

    Args:
        comparison (Comparison): The comparison.
        work_dir (Path): Its runs are in ``ARM/seed<seed>``.
        jobs (int): Runs side by side, which share the processor's cores.
            Defaults to 1.
        progress (Callable): Called with the number of finished runs, that of
            all runs and the name of the one that has just finished.

    Returns:
        dict[str, dict]: By name of the arm: ``values`` of the metric, one for
        each seed, their ``mean`` and ``std`` (of the sample), and the median
        of ``seconds_per_iter``.

    Raises:
        SystemExit: If a run fails, after all others are done.
    """
    threads = max(1, (os.cpu_count() or 1) // jobs)
    # All arms of one seed first: what there is can be compared early.
    runs = [(s, arm) for s in comparison.seeds for arm in comparison.arms]
    found: dict[tuple[int, str], dict[str, Any]] = {}
    failed = []
    with ThreadPoolExecutor(jobs) as pool:
        futures = {
            pool.submit(
                train_and_test,
                arm.config,
                work_dir / arm.folder / f'seed{seed}',
                [*arm.options, f'randomness.seed={seed}'],
                threads,
            ): (seed, arm.name)
            for seed, arm in runs
        }
        for future in as_completed(futures):
            seed, name = futures[future]
            try:
                found[seed, name] = future.result()
            except SystemExit as error:
                failed.append(f'{name}, seed {seed}: {error}')
            progress(len(found) + len(failed), len(runs), f'{name}, {seed}')
    if failed:
        raise SystemExit('\n'.join(failed))
    return {
        arm.name: _summary(
            [found[seed, arm.name] for seed in comparison.seeds],
            comparison.metric,
        )
        for arm in comparison.arms
    }


def order(row: dict[str, Any], reference: dict[str, Any]) -> str:
    """Whether an arm is better than another, as far as the seeds show.

    An order is claimed only where the means differ by more than two standard
    deviations, those of the arm that varies more.

    Args:
        row (dict): ``mean`` and ``std`` of an arm, of a metric that is better
            the higher it is.
        reference (dict): Those of the other.

    Returns:
        str: ``'better'``, ``'worse'`` or ``'no difference shown'``.
    """
    stds = [row['std'], reference['std']]
    gap = row['mean'] - reference['mean']
    if None in stds or abs(gap) <= 2 * max(stds):
        return 'no difference shown'
    return 'better' if gap > 0 else 'worse'


def fba_row(rows: list[dict[str, Any]]) -> Optional[dict[str, Any]]:
    """The arm named FBA, with which others are compared, if it is trained."""
    found = [r for r in rows if r['arm'] == 'FBA' and 'mean' in r]
    return found[0] if found else None


def _summary(runs: list[dict[str, Any]], metric: str) -> dict[str, Any]:
    for run in runs:
        if metric not in run['metrics']:
            raise SystemExit(
                f'metric={metric!r}: the test of {run["config"]} gave '
                f'{[*run["metrics"]]}'
            )
    values = [run['metrics'][metric] for run in runs]
    return dict(
        values=values,
        mean=statistics.fmean(values),
        std=statistics.stdev(values) if len(values) > 1 else None,
        seconds_per_iter=statistics.median(
            run['seconds_per_iter'] for run in runs
        ),
    )
