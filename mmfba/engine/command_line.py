# Copyright (c) mmfba authors.
"""What the command lines of the tools share.

Torch and the libraries take seconds to import. The tools do so after they have
read their arguments: ``--help`` and a wrong argument are answered at once.
"""

import argparse
import difflib
import inspect
import os.path as osp
from typing import TYPE_CHECKING, Any, Dict, Optional

from mmfba.local_config import complete

if TYPE_CHECKING:
    from mmengine.config import Config


def read_config(path: str) -> 'Config':
    """Read a config: a file, or ``<library>::<path>`` of a stock config.

    Raises:
        ValueError: If it cannot be read; it names the file.
    """
    from mmengine.config import Config
    from mmengine.hub import get_config

    try:
        return get_config(path) if '::' in path else Config.fromfile(path)
    except Exception as error:  # a config is a program
        kind = type(error).__name__
        raise ValueError(
            f'{path}: the config cannot be read: {kind}: {error}'
        ) from error


def merge_options(cfg: 'Config', options: Optional[Dict[str, Any]]) -> None:
    """Write ``--cfg-options`` into a config, and complete a local model's.

    Raises:
        ValueError: If a key is no key of the config but nearly one.
    """
    from mmengine.runner import Runner

    known = {*cfg, *inspect.signature(Runner.__init__).parameters}
    for key in options or {}:
        first = key.split('.')[0]
        near = difflib.get_close_matches(first, sorted(known), 1, 0.8)
        if first not in known and near:
            raise ValueError(
                f'--cfg-options {key}={options[key]!r}: the config has no '
                f'{first!r}; did you mean {near[0]!r}?'
            )
    cfg.merge_from_dict(options or {})
    complete(cfg)


def load_config(args: argparse.Namespace) -> 'Config':
    """The config that the command line names, with its ``--cfg-options``."""
    cfg = read_config(args.config)
    merge_options(cfg, args.cfg_options)
    return cfg


class OptionAction(argparse.Action):
    """MMEngine's ``key=value`` pairs, with a message where one is none."""

    def __call__(self, parser, namespace, values, option_string=None) -> None:
        for pair in values:
            if '=' not in pair:
                parser.error(f'{option_string} {pair}: expected key=value')
        from mmengine.config import DictAction

        parse = DictAction(self.option_strings, self.dest, self.nargs)
        parse(parser, namespace, values, option_string)


def add_trust_checkpoint(parser: argparse.ArgumentParser) -> None:
    """Add ``--trust-checkpoint``."""
    parser.add_argument(
        '--trust-checkpoint',
        action='store_true',
        help='load checkpoints that hold more than plain data. Such a file '
        'can run any code on this machine: use this only for files whose '
        'maker you trust',
    )


def add_config_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--cfg-options``."""
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=OptionAction,
        help='override settings of the config, in the form key=value. Lists '
        'are written key="[a,b]" or key=a,b, nested ones key="[(a,b),(c,d)]" '
        'with quotation marks and without white space',
    )


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that every tool with a Runner takes."""
    add_trust_checkpoint(parser)
    add_config_options(parser)
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='job launcher',
    )
    # torch.distributed.launch passes one spelling or the other.
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)


def merge_run_arguments(cfg: 'Config', args: argparse.Namespace) -> None:
    """Write launcher, ``--cfg-options`` and work directory into a config."""
    cfg.launcher = args.launcher
    merge_options(cfg, args.cfg_options)
    if args.work_dir is not None:
        cfg.work_dir = args.work_dir
    elif cfg.get('work_dir') is None:
        stem = osp.splitext(osp.basename(args.config))[0]
        cfg.work_dir = osp.join('./work_dirs', stem)


def add_step_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of tools that look at one training step."""
    parser.add_argument('config', help='config of a local model')
    parser.add_argument(
        '--batch', type=_positive, default=2, help='images in a batch'
    )
    parser.add_argument(
        '--shape',
        type=_positive,
        nargs=2,
        default=(800, 1344),
        metavar=('H', 'W'),
        help="the network's input in pixels",
    )
    add_config_options(parser)


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'{text!r} is no number above 0')
    return int(text)
