# Copyright (c) mmfba authors.
"""Compare configs: memory, FLOPs and time of a step, and accuracy over seeds.

A comparison file says what is compared, see benchmarks/comparisons/. Broken
off, a comparison continues where it was.
"""

import argparse
import json
import logging
import shlex
import sys
from pathlib import Path
from typing import Any, Dict, List

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TimeElapsedColumn
from rich.table import Table

from mmfba.analysis.comparison import (
    ORDER_NOTE,
    Comparison,
    fba_row,
    measure_costs,
    order,
    train_all,
)
from mmfba.analysis.environment import describe_environment
from mmfba.analysis.plots import plot_accuracy
from mmfba.engine.user_errors import one_line_errors


def main() -> None:
    """Run the comparison."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('comparison', help='comparison file')
    parser.add_argument(
        '--device', choices=['meta', 'cpu', 'cuda'], default='meta'
    )
    parser.add_argument(
        '--steps', type=int, default=0, help='timed steps of each arm'
    )
    parser.add_argument(
        '--train', action='store_true', help='train and test each arm'
    )
    parser.add_argument('--work-dir', type=Path, help='of the trainings')
    parser.add_argument(
        '--jobs', type=int, default=1, help='trainings side by side'
    )
    parser.add_argument('--out', type=Path, help='write a JSON file')
    parser.add_argument(
        '--plot', type=Path, help='with --train: write a picture (PNG)'
    )
    parser.add_argument('--note', help='a remark to keep with the results')
    args = parser.parse_args()
    if args.plot and not args.train:
        parser.error('--plot shows accuracy: it needs --train')
    logging.disable(logging.WARNING)
    with one_line_errors():
        comparison = Comparison.from_file(args.comparison)
        rows = measure_costs(comparison, args.device, args.steps)
    if args.train:
        default = Path('work_dirs') / Path(args.comparison).stem
        work_dir = args.work_dir or default
        trained = run_trainings(comparison, work_dir, args.jobs)
        for row in rows:
            row.update(trained[row['arm']])
    for row, arm in zip(rows, comparison.arms):
        row.update(config=arm.config, options=list(arm.options))
    if args.out:
        here = describe_environment()
        results = dict(
            here,
            device=here['device'] if args.train else args.device,
            command=shlex.join(['python', *sys.argv]),
            note=args.note,
            metric=comparison.metric,
            seeds=comparison.seeds,
            shape=comparison.shape,
            rows=rows,
        )
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(json.dumps(results, indent=1) + '\n')
    if args.plot:
        plot_accuracy(rows, comparison.metric, str(args.plot))
    show(rows, comparison.metric)


def run_trainings(
    comparison: Comparison, work_dir: Path, jobs: int
) -> Dict[str, Dict[str, Any]]:
    """Train all arms behind a progress bar."""
    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn()) as bar:
        task = bar.add_task('trainings')

        def progress(done: int, total: int, name: str) -> None:
            bar.update(task, completed=done, total=total, description=name)

        return train_all(comparison, work_dir, jobs, progress)


def show(rows: List[Dict[str, Any]], metric: str) -> None:
    """Print the table."""
    table = Table(box=None)
    table.add_column('arm', overflow='fold')
    names = ['K', 'aux. parameters', 'peak, MiB', 'peak ratio', 'rest ratio']
    names += ['FLOPs ratio', 'time ratio', metric]
    reference = fba_row(rows)
    if reference:
        names.append('vs FBA')
    for name in names:
        table.add_column(name, justify='right')
    for row in rows:
        time, mean, std = (
            row.get(key) for key in ('step_time_ratio', 'mean', 'std')
        )
        spread = '' if std is None else f' ± {std:.3g}'
        table.add_row(
            row['arm'],
            str(row['num_modules']),
            f'{row["aux_parameters"]:,}',
            f'{row["peak_bytes"] / 2**20:,.1f}',
            f'{row["peak_ratio"]:.3f}',
            f'{row["activation_ratio"]:.3f}',
            f'{row["flops_ratio"]:.2f}',
            '-' if time is None else f'{time:.2f}',
            '-' if mean is None else f'{mean:.4g}{spread}',
            *([_vs(row, reference)] if reference else []),
        )
    console = Console(width=130)
    console.print(table)
    console.print(
        'Ratios refer to the first arm; rest is what a step adds to weights, '
        'optimizer state and batch.' + (f' {ORDER_NOTE}' if reference else '')
    )


def _vs(row: Dict[str, Any], reference: Dict[str, Any]) -> str:
    return '' if row is reference else order(row, reference)


if __name__ == '__main__':
    main()
