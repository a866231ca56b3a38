# Copyright (c) mmfba authors.
"""Compare configs: memory, FLOPs and time of a step, and accuracy over seeds.

A comparison file says what is compared, see benchmarks/comparisons/. Broken
off, a comparison continues where it was, from its work directory or from the
JSON file alone, which holds what has been run so far. The costs are measured
anew each time: with --device cpu --steps N to keep times; without --train the
runs are kept.
"""

import argparse
import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Dict, List

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TimeElapsedColumn
from rich.table import Table

if TYPE_CHECKING:
    from mmfba.analysis.accuracy import Trained
    from mmfba.analysis.comparison import Comparison


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
        '--run-options',
        nargs='+',
        default=[],
        metavar='KEY=VALUE',
        help='config options of this machine alone, such as its precision: '
        'a run is known without them',
    )
    parser.add_argument(
        '--jobs', type=int, default=1, help='trainings side by side'
    )
    parser.add_argument('--out', type=Path, help='write a JSON file')
    parser.add_argument(
        '--known',
        type=Path,
        nargs='+',
        default=[],
        help='JSON files whose runs of the same config are not run again',
    )
    parser.add_argument(
        '--plot',
        type=Path,
        help='write a picture (PNG): accuracy against costs, or the costs',
    )
    parser.add_argument('--note', help='a remark to keep with the results')
    args = parser.parse_args()
    from mmfba.analysis.accuracy import known_results
    from mmfba.analysis.comparison import Comparison, measure_costs
    from mmfba.analysis.comparison_plots import plot_comparison
    from mmfba.engine.user_errors import one_line_errors

    logging.disable(logging.WARNING)
    with one_line_errors():
        comparison = Comparison.from_file(args.comparison, args.run_options)
        rows = measure_costs(comparison, args.device, args.steps)
    for row, arm in zip(rows, comparison.arms):
        row.update(config=arm.config, options=list(arm.options))
    known = [run for path in args.known for run in _runs(path)]
    if args.out and args.out.exists():
        known += _runs(args.out)

    def save(trained: 'Trained') -> None:
        for row in rows:
            row.update(trained.get(row['arm'], {}))
        if args.out:
            _write(args, comparison, rows)

    if args.train:
        default = Path('work_dirs') / Path(args.comparison).stem
        work_dir = args.work_dir or default
        run_trainings(comparison, work_dir, args.jobs, known, save)
    else:
        save(known_results(comparison, known))
    if args.plot:
        plot_comparison(rows, comparison.metric, str(args.plot))
    show(rows, comparison.metric)


def run_trainings(
    comparison: 'Comparison',
    work_dir: Path,
    jobs: int,
    known: List[Dict[str, Any]],
    save: Callable[['Trained'], None],
) -> None:
    """Train all arms behind a progress bar, saving after each run."""
    from mmfba.analysis.accuracy import train_all

    total = len(comparison.arms) * len(comparison.seeds)
    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn()) as bar:
        task = bar.add_task('trainings', total=total)

        def progress(done: int, name: str, trained: 'Trained') -> None:
            bar.update(task, completed=done, description=name or 'trainings')
            save(trained)

        train_all(comparison, work_dir, jobs, known, progress)


def _runs(results: Path) -> List[Dict[str, Any]]:
    rows = json.loads(results.read_text())['rows']
    return [run for row in rows for run in row.get('runs', ())]


def _write(
    args: argparse.Namespace,
    comparison: 'Comparison',
    rows: List[Dict[str, Any]],
) -> None:
    from mmfba.analysis.environment import write_result

    write_result(
        args.out,
        None if args.train else args.device,
        note=args.note,
        metric=comparison.metric,
        seeds=comparison.seeds,
        shape=comparison.shape,
        rows=rows,
    )


def show(rows: List[Dict[str, Any]], metric: str) -> None:
    """Print the table."""
    from mmfba.analysis.accuracy import ORDER_NOTE, fba_row

    table = Table(box=None)
    for name in ('arm', 'SLM', 'bank', 'head'):
        table.add_column(name, overflow='fold')
    names = ['K', 'aux. parameters', 'peak, MiB', 'peak ratio', 'rest ratio']
    names += ['GFLOPs', 'FLOPs ratio', 'time ratio', metric]
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
            *(row[key] for key in ('arm', 'slm', 'bank', 'head')),
            str(row['num_modules']),
            f'{row["aux_parameters"]:,}',
            f'{row["peak_bytes"] / 2**20:,.1f}',
            f'{row["peak_ratio"]:.3f}',
            f'{row["activation_ratio"]:.3f}',
            f'{row["flops"] / 1e9:,.1f}',
            f'{row["flops_ratio"]:.2f}',
            '-' if time is None else f'{time:.2f}',
            '-' if mean is None else f'{mean:.4g}{spread}',
            *([_vs(row, reference)] if reference else []),
        )
    console = Console(width=160)
    console.print(table)
    console.print(
        'Ratios refer to the first arm; rest is what a step adds to weights, '
        'optimizer state and batch.' + (f' {ORDER_NOTE}' if reference else '')
    )


def _vs(row: Dict[str, Any], reference: Dict[str, Any]) -> str:
    from mmfba.analysis.accuracy import order

    known = row is not reference and 'mean' in row
    return order(row, reference) if known else ''


if __name__ == '__main__':
    main()
