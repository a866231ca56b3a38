# Copyright (c) mmfba authors.
"""Compare the features of trained networks: linear CKA and linear probes."""

import argparse
import logging
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

from mmfba.engine.command_line import (
    add_config_options,
    add_trust_checkpoint,
    merge_options,
    read_config,
)


def main() -> None:
    """Compare the networks on the test set of the first."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        '--network',
        nargs=3,
        action='append',
        required=True,
        metavar=('NAME', 'CONFIG', 'CHECKPOINT'),
        help='repeat it: the others are compared with the first',
    )
    parser.add_argument('--out', type=Path, help='write a JSON file')
    parser.add_argument('--plot', type=Path, help='write a picture (PNG)')
    parser.add_argument('--note', help='a remark to keep with the results')
    add_config_options(parser)
    add_trust_checkpoint(parser)
    args = parser.parse_args()
    if len(args.network) < 2:
        parser.error('--network is needed twice at least')
    from mmfba.analysis.environment import write_result
    from mmfba.analysis.similarity import compare_networks
    from mmfba.analysis.similarity_plot import plot_similarity
    from mmfba.analysis.unit_features import load_batches, load_network
    from mmfba.engine.checkpoint_files import checkpoint_loading
    from mmfba.engine.user_errors import one_line_errors

    logging.disable(logging.WARNING)
    with one_line_errors(), checkpoint_loading(args.trust_checkpoint):
        configs = [read_config(config) for _, config, _ in args.network]
        for cfg in configs:
            merge_options(cfg, args.cfg_options)
        models = {
            name: load_network(cfg, checkpoint)
            for cfg, (name, _, checkpoint) in zip(configs, args.network)
        }
        batches = track(load_batches(configs[0]), 'batches')
        found = compare_networks(models, batches)
    if args.out:
        write_result(args.out, indent=None, note=args.note, **found)
    if args.plot:
        plot_similarity(found['networks'], str(args.plot))
    show(found['networks'])


def show(networks: list) -> None:
    """Print what each unit has."""
    from mmfba.analysis.similarity_plot import same_unit

    reference, *others = networks
    table = Table('unit', box=None)
    columns = []
    for network in others:
        table.add_column(f'CKA {network["name"]}', justify='right')
        values = same_unit(reference, network)
        columns.append([values.get(name) for name in reference['units']])
    for network in networks:
        if network['probe'] and network['units'] == reference['units']:
            table.add_column(f'probe {network["name"]}', justify='right')
            columns.append(network['probe'])
    for name, *row in zip(reference['units'], *columns):
        table.add_row(name, *('-' if v is None else f'{v:.4g}' for v in row))
    console = Console(width=110)
    console.print(table)
    console.print(
        f'CKA: with the same unit of {reference["name"]}. Probe: accuracy of '
        'a linear classifier in percent.'
    )


if __name__ == '__main__':
    main()
