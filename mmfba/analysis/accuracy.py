# Copyright (c) mmfba authors.
"""Accuracy of the arms of a comparison, over several seeds."""

import statistics
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any, Optional

import torch
from scipy.stats import ttest_ind

from .comparison import Arm, Comparison
from .train_and_test import config_hash, train_and_test

ORDER_NOTE = (
    'An order is claimed only where the 95 % confidence interval of the '
    "difference of the means (Welch's t-test) leaves out zero."
)
Trained = dict[str, dict[str, Any]]
Runs = dict[str, dict[int, dict[str, Any]]]
"""By name of the arm and seed."""


def train_all(
    comparison: Comparison,
    work_dir: Path,
    jobs: int = 1,
    known: Sequence[dict[str, Any]] = (),
    progress: Callable[[int, str, Trained], None] = lambda *_: None,
) -> Trained:
    """Train and test each arm with each seed, in ``work_dir/ARM/seed<seed>``.

    Started again it continues: finished runs are read, others resumed.

    Args:
        comparison (Comparison): The comparison.
        work_dir (Path): Where runs are kept.
        jobs (int): Runs side by side, which share the processor's cores.
        known (Sequence[dict]): ``runs`` of earlier results, whatever their
            arm; those of the same config are not run again.
        progress (Callable): Called with the number of runs that are done, the
            name of the last of them, and what there is to be returned.

    Returns:
        dict[str, dict]: By name of the arm, if any of its runs succeeded:
        ``runs``, their ``values`` of the metric, ``mean`` and ``std`` (of the
        sample), and the median of ``seconds_per_iter``.

    Raises:
        SystemExit: If a run fails, after all others are done; at once if the
            test gives no such metric.
    """
    threads = max(1, torch.get_num_threads() // jobs)
    found = _known_runs(comparison, known)
    failed: list[str] = []
    pool = ThreadPoolExecutor(jobs)
    futures = {}
    # All arms of one seed first: what there is can be compared early.
    for seed in comparison.seeds:
        for arm in comparison.arms:
            if seed in found[arm.name]:
                continue
            folder = work_dir / arm.folder / f'seed{seed}'
            options = _options(arm, seed)
            args = (arm.config, folder, options, threads, arm.run_options)
            futures[pool.submit(train_and_test, *args)] = seed, arm.name
    done = sum(map(len, found.values()))
    progress(done, '', _summaries(found, comparison.metric))
    try:
        for future in as_completed(futures):
            seed, name = futures[future]
            try:
                run = future.result()
                # Where it lies on this machine is no result.
                run.pop('checkpoint', None)
                found[name][seed] = run
            except SystemExit as error:
                failed.append(f'{name}, seed {seed}: {error}')
            done += 1
            summaries = _summaries(found, comparison.metric)
            progress(done, f'{name}, {seed}', summaries)
    finally:
        pool.shutdown(cancel_futures=True)
    if failed:
        raise SystemExit('\n'.join(failed))
    return _summaries(found, comparison.metric)


def known_results(
    comparison: Comparison, known: Sequence[dict[str, Any]]
) -> Trained:
    """What :func:`train_all` returns, of runs that are known alone."""
    return _summaries(_known_runs(comparison, known), comparison.metric)


def difference(
    row: dict[str, Any], reference: dict[str, Any]
) -> Optional[tuple[float, float, float]]:
    """How far the mean of an arm is above another's.

    Args:
        row (dict): It has ``values``, of a metric that is better the higher
            it is, one for each seed.
        reference (dict): The other.

    Returns:
        tuple[float, float, float]: The difference of the means, and the
        limits of its 95 % confidence interval by Welch's t-test; None where
        an arm has one seed.
    """
    pair = row['values'], reference['values']
    if min(map(len, pair)) < 2:
        return None
    low, high = ttest_ind(*pair, equal_var=False).confidence_interval(0.95)
    return statistics.fmean(pair[0]) - statistics.fmean(pair[1]), low, high


def order(row: dict[str, Any], reference: dict[str, Any]) -> str:
    """Whether an arm is better than another, as far as the seeds show: see
    ``ORDER_NOTE`` and, for the arguments, :func:`difference`."""
    found = difference(row, reference)
    if found is None:
        return 'one seed'
    _, low, high = found
    if low > 0 or high < 0:
        return 'better' if low > 0 else 'worse'
    return 'no difference shown'


def fba_row(rows: list[dict[str, Any]]) -> Optional[dict[str, Any]]:
    """The arm with which others are compared, if it is trained: ``FBA``, or
    ``FBA (...)`` where arms are named by what they have."""
    names = (row['arm'].split(' (')[0] for row in rows)
    found = [r for r, n in zip(rows, names) if n == 'FBA' and 'mean' in r]
    return found[0] if found else None


def _options(arm: Arm, seed: int) -> list[str]:
    return [*arm.options, f'randomness.seed={seed}']


def _known_runs(
    comparison: Comparison, known: Sequence[dict[str, Any]]
) -> Runs:
    by_hash = {run['config_hash']: run for run in known}
    found: Runs = {arm.name: {} for arm in comparison.arms}
    for arm in comparison.arms:
        for seed in comparison.seeds:
            run = by_hash.get(config_hash(arm.config, _options(arm, seed)))
            if run:
                found[arm.name][seed] = run
    return found


def _summaries(found: Runs, metric: str) -> Trained:
    return {
        name: _summary([runs[seed] for seed in sorted(runs)], metric)
        for name, runs in found.items()
        if runs
    }


def _summary(runs: list[dict[str, Any]], metric: str) -> dict[str, Any]:
    for run in runs:
        if metric not in run['metrics']:
            raise SystemExit(
                f'metric={metric!r}: the test of {run["config"]} gave '
                f'{[*run["metrics"]]}'
            )
    values = [run['metrics'][metric] for run in runs]
    return dict(
        runs=runs,
        values=values,
        mean=statistics.fmean(values),
        std=statistics.stdev(values) if len(values) > 1 else None,
        seconds_per_iter=statistics.median(
            run['seconds_per_iter'] for run in runs
        ),
    )
