# Copyright (c) mmfba authors.
"""Say what training a config will need, and how to make it fit.

Runs nothing but shapes: it needs no GPU, no data and no weights.
"""

import argparse
import logging
import shlex
from typing import Dict

from rich.console import Console
from rich.table import Table

from mmfba.analysis.plan import (
    Setting,
    cheapest_setting,
    describe_units,
    measure_setting,
    parse_bytes,
)
from mmfba.analysis.unit_costs import UnitCosts
from mmfba.engine.command_line import (
    add_step_arguments,
    load_config,
)
from mmfba.engine.user_errors import one_line_errors

MIB = 2**20


def main() -> None:
    """Print the plan."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    add_step_arguments(parser)
    parser.add_argument('--budget', help='what may be used, such as 8GiB')
    args = parser.parse_args()
    logging.disable(logging.WARNING)
    step = (args.batch, tuple(args.shape))
    console = Console(width=100)
    with one_line_errors():
        cfg = load_config(args)
        budget = parse_bytes(args.budget) if args.budget else None
        show_units(console, describe_units(cfg, *step))
        show_setting(
            console, 'as configured', measure_setting(cfg, 'fba', *step)
        )
        if budget:
            refused: Dict[str, str] = {}
            found = cheapest_setting(cfg, *step, budget, refused)
            for arm, reason in refused.items():
                console.print(
                    f'not possible ({arm}): {reason}', highlight=False
                )
            show_setting(console, f'cheapest within {args.budget}', found)
            console.print(
                'Options:\n--cfg-options ' + shlex.join(found.options),
                soft_wrap=True,
                markup=False,
            )


def show_units(console: Console, costs: UnitCosts) -> None:
    """Print what each unit costs."""
    table = Table(box=None, title='Units, MiB')
    table.add_column('unit')
    for name in ('kept', 'in backward', 'auxiliary or head', 'GFLOPs'):
        table.add_column(name, justify='right')
    for unit in costs.units:
        values = (unit.kept, unit.backward, unit.head)
        table.add_row(
            unit.name,
            *(f'{value / MIB:,.1f}' for value in values),
            f'{unit.flops / 1e9:,.1f}',
        )
    console.print(table)
    console.print(
        'kept: what the forward leaves for the backward. auxiliary or head: '
        'what a cut after the\nunit adds, for the last unit the main neck and '
        'head.\n'
    )


def show_setting(console: Console, name: str, setting: Setting) -> None:
    """Print the peak of each local module."""
    profile = setting.profile
    peaks = ', '.join(f'{p / MIB:,.0f}' for p in profile.peak_by_tag.values())
    console.print(
        f'{name} ({setting.arm}), K={len(profile.peak_by_tag)}\n'
        f'  cuts after: {", ".join(setting.cuts) or "-"}\n'
        f'  peak: {profile.peak_bytes / MIB:,.0f} MiB, '
        f'{profile.static_bytes / MIB:,.0f} of it static\n'
        f'  by module: {peaks}',
        highlight=False,
    )


if __name__ == '__main__':
    main()
