# Copyright (c) mmfba authors.
"""List the units of a config's network, and after which it can be cut.

Takes any config of mmpretrain, mmdet or mmagic, or one of mmfba. Runs nothing
but shapes: it needs no GPU, no data and no weights. ``memory`` is a unit's
share of what autograd keeps of the network for the backward.
"""

import argparse
import logging


def main() -> None:
    """Print the units."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument(
        'config', help='a config, or LIBRARY::PATH of a stock one'
    )
    args = parser.parse_args()
    from rich.console import Console
    from rich.table import Table

    from mmfba.analysis.network_units import network_units
    from mmfba.engine.command_line import read_config
    from mmfba.engine.user_errors import one_line_errors

    logging.disable(logging.WARNING)
    with one_line_errors():
        anatomy, sizes = network_units(read_config(args.config))
        table = Table(box=None)
        total = sum(unit.kept for unit in anatomy.units)
        table.add_column('unit')
        for name in ('stage', 'parameters', 'channels', 'stride', 'memory'):
            table.add_column(name, justify='right')
        table.add_column('cut')
        for unit in anatomy.units:
            feature = unit.feature
            table.add_row(
                unit.name,
                str(unit.stage),
                f'{sum(sizes[name] for name in unit.parameters):,}',
                str(feature.channels),
                str(feature.stride),
                f'{unit.kept / total:.1%}',
                'possible' if unit.cuttable else '',
            )
        Console(width=100).print(table)


if __name__ == '__main__':
    main()
