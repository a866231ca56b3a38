# Copyright (c) mmfba authors.
"""Find how a config trains within a budget of memory, and write that config.

Ways with exact gradients come first, local learning where they do not reach.
Nothing but shapes is run: it needs no GPU, no data and no weights.
"""

import argparse
import copy
import logging
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Tuple

from rich.console import Console

from mmfba.engine.command_line import add_config_options, load_config

if TYPE_CHECKING:
    from mmengine.config import Config

    from mmfba.analysis.way import Way

GIB = 2**30


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
    parser.add_argument(
        '--from-scratch',
        action='store_true',
        help='train from random weights, with nothing frozen. By default '
        'training starts as the config says',
    )
    parser.add_argument(
        '--measure',
        type=int,
        metavar='N',
        help='run the first rows that should fit for N steps on the GPU, and '
        'say what they really need',
    )
    parser.add_argument(
        '--plot',
        type=Path,
        metavar='FILE.png',
        help='draw the memory of plain training and of the way that is '
        'recommended or chosen',
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
    warnings.simplefilter('ignore')  # of libraries, about each other
    from mmfba.analysis.measured_ways import check_gpu, measure_ways
    from mmfba.analysis.memory_budget import read_budget
    from mmfba.analysis.way import recommend
    from mmfba.analysis.ways import Ways
    from mmfba.analysis.ways_report import verdict, ways_table
    from mmfba.engine.user_errors import one_line_errors

    logging.disable(logging.WARNING)
    console = Console(width=100, highlight=False, markup=False)
    with one_line_errors():
        if args.measure is not None:
            check_gpu(args.measure)
        budget = read_budget(args.budget)
        cfg = load_config(args)
        batch, shape = read_step(console, cfg, args)
        scratch = read_start(console, cfg, args.from_scratch)
        with Console(stderr=True).status('reading the model') as status:

            def watch(words: str) -> None:
                status.update(f'measuring: {words}')

            search = Ways(cfg, batch, shape, budget, watch)
            ways = search.find()
            if args.measure:
                step = (search.images, shape, budget, args.measure)
                measure_ways(ways, cfg, *step, watch)
        best = recommend(ways, budget)
        table, notes = ways_table(ways, best, budget)
        console.print(table)
        # What follows a semicolon is for who wrote the option in a config.
        for note in [*notes, *(f'- {x.split(";")[0]}' for x in search.notes)]:
            console.print(note, soft_wrap=True)
        console.print(verdict(ways, best, budget), soft_wrap=True)
        way = choose(args, ways, best)
        if args.plot:
            plot(args, ways, way)
        if args.out:
            write(args, cfg, ways, way, (batch, shape), scratch)
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
    return batch, shape


def read_start(
    console: Console, cfg: 'Config', scratch: bool
) -> Dict[str, Any]:
    """Say which weights training starts from; from scratch, change it."""
    from mmfba.analysis.from_scratch import from_scratch, without_pretrained

    changes = from_scratch(cfg)
    backbone = cfg.model.get('backbone') or {}
    if not scratch:
        kept = ['pretrained weights'] if without_pretrained(cfg) else []
        kept += [
            f'{key}={backbone.get(key, True)}'
            for key in ('frozen_stages', 'norm_eval')
            if f'model.backbone.{key}' in changes
        ]
        if kept:
            console.print(
                f'kept: {", ".join(kept)}; --from-scratch trains all of it',
                soft_wrap=True,
            )
        return {}
    for key, value in changes.items():
        shown = str(value).replace(", '_delete_': True", '')
        console.print(f'from scratch: {key}={shown}', soft_wrap=True)
    if not changes:
        console.print('from scratch: the config says so already')
    cfg.merge_from_dict(copy.deepcopy(changes))
    return changes


def choose(
    args: argparse.Namespace, ways: 'List[Way]', best: 'Optional[Way]'
) -> 'Optional[Way]':
    """The way to write and to draw."""
    if args.choose is None:
        return best
    if not 1 <= args.choose <= len(ways):
        raise ValueError(f'--choose {args.choose}: rows are 1 to {len(ways)}')
    return ways[args.choose - 1]


def plot(
    args: argparse.Namespace, ways: 'List[Way]', way: 'Optional[Way]'
) -> None:
    """Draw plain training and the chosen way."""
    from mmfba.analysis.plots import plot_timelines

    drawn = [ways[0], way or min(ways, key=lambda way: way.peak)]
    profiles = {way.words: way.profile for way in drawn if way.profile}
    if not profiles:
        raise ValueError(f'--plot {args.plot}: peaks are not known')
    args.plot.parent.mkdir(parents=True, exist_ok=True)
    plot_timelines(profiles, args.plot, Path(args.config).stem)


def write(
    args: argparse.Namespace,
    cfg: 'Config',
    ways: 'List[Way]',
    way: 'Optional[Way]',
    step: Tuple[int, Tuple[int, int]],
    scratch: Dict[str, Any],
) -> None:
    """Write the chosen config."""
    from mmfba.analysis.config_text import config_text

    if way is None:
        raise ValueError('nothing was written: --choose N writes row N')
    (batch, shape), stock = step, ways[0]
    changes = {**(args.cfg_options or {}), **scratch}
    if args.batch and 'train_dataloader.batch_size' not in way.changes:
        changes['train_dataloader.batch_size'] = batch
    changes.update(way.changes)
    header = f'{way.words[:1].upper()}{way.words[1:]}.'
    if way.profile:
        header += f'\n{batch} images of {shape[0]}x{shape[1]} need '
        header += f'{way.profile.peak_bytes / GIB:.2f} GiB'
        if way is not stock and stock.profile:
            plain = stock.profile.peak_bytes / GIB
            header += f'; plain training needs {plain:.2f} GiB'
        header += '.'
    args.out.parent.mkdir(parents=True, exist_ok=True)
    text = config_text(args.config, cfg, changes, args.out, header)
    args.out.write_text(text)


if __name__ == '__main__':
    main()
