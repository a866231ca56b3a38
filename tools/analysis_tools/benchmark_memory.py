# Copyright (c) mmfba authors.
"""Compare memory, FLOPs and time of ways to train one network."""

import argparse
import logging
from pathlib import Path
from typing import Any, Dict, List

from rich.console import Console
from rich.table import Table

from mmfba.analysis.training_arms import describe_tokens
from mmfba.engine.command_line import (
    add_step_arguments,
    load_config,
)

ARMS = ['bp', 'cp', 'checkpoint+chunk', 'local', 'local+balanced+chunk']
ARMS += ['local+tuned']


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_step_arguments(parser)
    parser.add_argument(
        '--arms',
        nargs='+',
        default=ARMS,
        help=f'tokens joined by +: {describe_tokens()}',
    )
    parser.add_argument(
        '--device', choices=['meta', 'cpu', 'cuda'], default='meta'
    )
    parser.add_argument(
        '--steps', type=int, default=0, help='timed steps of each arm'
    )
    parser.add_argument('--out', type=Path, help='write a JSON file')
    parser.add_argument('--plot', type=Path, help='write a picture (PNG)')
    parser.add_argument('--note', help='a remark to keep with the results')
    args = parser.parse_args()
    from mmfba.analysis.benchmark import benchmark
    from mmfba.analysis.environment import write_result
    from mmfba.analysis.plots import plot_pareto, plot_timelines
    from mmfba.engine.user_errors import one_line_errors

    logging.disable(logging.WARNING)
    with one_line_errors():
        cfg = load_config(args)
        rows, profiles = benchmark(
            cfg, args.arms, args.batch, args.shape, args.device, args.steps
        )
    if args.out:
        write_result(
            args.out,
            args.device,
            note=args.note,
            config=args.config,
            shape=args.shape,
            batch=args.batch,
            rows=rows,
        )
    if args.plot:
        title = f'{Path(args.config).stem}, {args.batch} images'
        if args.device != 'cuda':  # its allocator keeps no history
            plot_timelines(profiles, args.plot, title)
        pareto = args.plot.with_stem(args.plot.stem + '_pareto')
        plot_pareto(rows, pareto)
    show(rows)


def show(rows: List[Dict[str, Any]]) -> None:
    """Print the table."""
    table = Table(box=None)
    table.add_column('arm', overflow='fold')
    names = ['K', 'peak', 'static', 'rest', 'peak / BP', 'rest / BP']
    names += ['FLOPs / BP', 'operators', 'syncs']
    names += ['s / step', 'time / BP', 'exact BN']
    for name in names:
        table.add_column(name, justify='right')
    for row in rows:
        table.add_row(
            row['arm'],
            str(row['num_modules']),
            *(
                f'{row[f"{key}_bytes"] / 2**20:,.1f}'
                for key in ('peak', 'static', 'activation')
            ),
            f'{row["peak_ratio"]:.3f}',
            f'{row["activation_ratio"]:.3f}',
            f'{row["flops_ratio"]:.2f}',
            f'{row["operators"]:,}',
            f'{row["syncs"]}',
            *(
                '-' if row[key] is None else f'{row[key]:.{digits}f}'
                for key, digits in (
                    ('step_time_s', 3),
                    ('step_time_ratio', 2),
                )
            ),
            'yes' if row['exact_bn'] else 'no',
        )
    console = Console(width=130)
    console.print(table)
    console.print('Memory in MiB.')
    for row in rows:
        if row['cuts']:
            peaks = [f'{n / 2**20:,.1f}' for n in row['module_peak_bytes']]
            console.print(
                f'{row["arm"]} cuts: {", ".join(row["cuts"])}; '
                f'peaks of the modules: {", ".join(peaks)}'
            )


if __name__ == '__main__':
    main()
