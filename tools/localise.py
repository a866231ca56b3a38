# Copyright (c) mmfba authors.
"""Find how a config trains within a budget of memory, and write that config.

Ways with exact gradients come first, local learning where they do not reach.
Nothing but shapes is run: it needs no GPU, no data and no weights.
"""

import argparse
import logging
from pathlib import Path
from typing import TYPE_CHECKING, List, Optional

from rich.console import Console
from rich.table import Table

from mmfba.engine.command_line import add_config_options, load_config

if TYPE_CHECKING:
    from mmengine.config import Config

    from mmfba.analysis.way import Way

GIB = 2**30
NOTE = (
    'Peaks are those of tensors; CUDA itself takes some hundred MiB more. '
    'Time, an estimate for a\nGPU of 8 to 12 GB, and FLOPs are ratios to '
    'plain training.'
)
NEARLY = (
    'nearly: each part of a batch is divided by the number of its own '
    'objects, as on several GPUs.'
)


def parse_args(argv: Optional[List[str]] = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('config', help='any config that trains')
    parser.add_argument(
        '--budget',
        help='memory that training may use: 8, 8G, 8GB and 8GiB are all 8 '
        'GiB. Defaults to what is free on the GPU',
    )
    parser.add_argument(
        '-o', '--out', type=Path, help='write the recommended config here'
    )
    parser.add_argument(
        '--choose',
        type=int,
        metavar='N',
        help='write row N of the table instead',
    )
    parser.add_argument(
        '--batch',
        type=int,
        help='images in a batch. Defaults to train_dataloader.batch_size',
    )
    parser.add_argument(
        '--shape',
        type=int,
        nargs=2,
        metavar=('H', 'W'),
        help="the network's input in pixels. Defaults to the largest that "
        'the training pipeline gives',
    )
    add_config_options(parser)
    return parser.parse_args(argv)


def main(argv: Optional[List[str]] = None) -> None:
    """Print the ways and write one of them.

    Args:
        argv (list[str], optional): Arguments instead of the command line's.
            Defaults to None.
    """
    args = parse_args(argv)
    from mmfba.analysis.memory_budget import read_budget
    from mmfba.analysis.way import recommend
    from mmfba.analysis.ways import Ways
    from mmfba.engine.user_errors import one_line_errors

    logging.disable(logging.WARNING)
    console = Console(width=100, highlight=False, markup=False)
    with one_line_errors():
        budget = read_budget(args.budget)
        cfg = load_config(args)
        batch, shape = read_step(console, cfg, args)
        with Console(stderr=True).status('reading the model') as status:
            search = Ways(
                cfg,
                batch,
                shape,
                budget,
                lambda words: status.update(f'measuring: {words}'),
            )
            ways = search.find()
        best = recommend(ways, budget)
        show(console, ways, best, budget)
        for note in search.notes:
            console.print(f'- {note}', soft_wrap=True)
        console.print(verdict(ways, best, budget), soft_wrap=True)
        if args.out:
            write(args, cfg, ways, best, (batch, shape))
            console.print(
                f'wrote {args.out}; train it with: python tools/train.py '
                f'{args.out}',
                soft_wrap=True,
            )


def read_step(console: Console, cfg: 'Config', args: argparse.Namespace):
    """Batch and image size, and say where they are from."""
    from mmfba.analysis.input_size import read_batch, read_shape

    shape, source = read_shape(cfg)
    batch = args.batch or read_batch(cfg)
    shape = tuple(args.shape or shape or ())
    if not batch or not shape or min(batch, *shape) < 1:
        raise ValueError(
            f'batch of {batch} images of {shape or "unknown size"}: give '
            '--batch N and --shape H W, which the config does not name'
        )
    source = '--shape' if args.shape else source
    console.print(
        f'{args.config}: {batch} images of {shape[0]}x{shape[1]} '
        f'({"--batch" if args.batch else "train_dataloader.batch_size"}; '
        f'{source})',
        soft_wrap=True,
    )
    backbone = cfg.model.get('backbone') or {}
    keys = ('init_cfg', 'frozen_stages', 'norm_eval')
    kept = [f'{key}={backbone[key]}' for key in keys if backbone.get(key)]
    if kept:
        console.print(f'kept: {", ".join(kept)}', soft_wrap=True)
    return batch, shape


def show(
    console: Console, ways: 'List[Way]', best: 'Optional[Way]', budget: float
) -> None:
    """Print the table."""
    stock = ways[0]
    table = Table(box=None)
    for name in ('', '#'):
        table.add_column(name, justify='right')
    table.add_column('way to train', overflow='fold')
    for name in ('peak, GiB', 'fits', 'time', 'FLOPs', 'exact gradients'):
        table.add_column(name, justify='right')
    for number, way in enumerate(ways, 1):
        figures = ['?'] * 4
        if way.profile and stock.profile:
            figures = [
                f'{way.peak / GIB:.2f}',
                'yes' if way.peak <= budget else 'no',
                f'{way.seconds / stock.seconds:.2f}',
                f'{way.profile.flops / stock.profile.flops:.2f}',
            ]
        mark = '>' if way is best else ''
        table.add_row(mark, str(number), way.words, *figures, way.exact)
    console.print(table)
    if stock.profile:
        console.print(NOTE)
    if any(way.exact == 'nearly' for way in ways):
        console.print(NEARLY)


def verdict(ways: 'List[Way]', best: 'Optional[Way]', budget: float) -> str:
    """What to do."""
    limit = f'{budget / GIB:.2f} GiB'
    if best is None and ways[0].profile is None:
        return 'Peaks are not known, so that no way is recommended.'
    if best is None:
        least = min(ways, key=lambda way: way.peak)
        return (
            f'Nothing fits into {limit}: the least is {ways.index(least) + 1} '
            f'with {least.peak / GIB:.2f} GiB. Make the batch or the images '
            'smaller.'
        )
    if not best.changes:
        return f'It fits into {limit} as it is: train the config you have.'
    number = ways.index(best) + 1
    if best.exact == 'no':
        return (
            f'Recommended: {number}, local learning. No way with exact '
            f'gradients fits into {limit}; measure accuracy on your task.'
        )
    return (
        f'Recommended: {number}, {best.words}. Local learning is not needed '
        f'for {limit}.'
    )


def write(args, cfg: 'Config', ways, best, step) -> None:
    """Write the chosen config."""
    from mmfba.analysis.config_text import config_text

    if args.choose is not None and not 1 <= args.choose <= len(ways):
        raise ValueError(f'--choose {args.choose}: rows are 1 to {len(ways)}')
    way = ways[args.choose - 1] if args.choose else best
    if way is None:
        raise ValueError('nothing was written: --choose N writes row N')
    (batch, shape), stock = step, ways[0]
    changes = dict(args.cfg_options or {})
    if args.batch and 'train_dataloader.batch_size' not in way.changes:
        changes['train_dataloader.batch_size'] = batch
    changes.update(way.changes)
    header = f'{way.words[:1].upper()}{way.words[1:]}.'
    if way.profile:
        header += (
            f'\n{batch} images of {shape[0]}x{shape[1]} need '
            f'{way.peak / GIB:.2f} GiB; plain training needs '
            f'{stock.peak / GIB:.2f} GiB.'
        )
    args.out.parent.mkdir(parents=True, exist_ok=True)
    text = config_text(args.config, cfg, changes, args.out, header)
    args.out.write_text(text)


if __name__ == '__main__':
    main()
