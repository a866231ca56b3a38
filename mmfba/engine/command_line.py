# Copyright (c) mmfba authors.
"""What the command lines of the tools share."""

import argparse
import os
import os.path as osp
import pickle
import re
from contextlib import contextmanager
from typing import Iterator

from mmengine.config import Config, DictAction


def load_config(args: argparse.Namespace) -> Config:
    """Read the config that the command line names.

    Args:
        args (argparse.Namespace): With ``config`` and ``cfg_options``.

    Returns:
        Config: The config with the settings of ``--cfg-options``.
    """
    cfg = Config.fromfile(args.config)
    cfg.merge_from_dict(args.cfg_options or {})
    return cfg


def add_trust_checkpoint(parser: argparse.ArgumentParser) -> None:
    """Add ``--trust-checkpoint``.

    Args:
        parser (argparse.ArgumentParser): The tool's parser.
    """
    parser.add_argument(
        '--trust-checkpoint',
        action='store_true',
        help='load checkpoints that hold more than plain data. Such a file '
        'can run any code on this machine: use this only for files whose '
        'maker you trust',
    )


def add_config_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--cfg-options``.

    Args:
        parser (argparse.ArgumentParser): The tool's parser.
    """
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        help='override settings of the config, in the form key=value. Lists '
        'are written key="[a,b]" or key=a,b, nested ones key="[(a,b),(c,d)]" '
        'with quotation marks and without white space',
    )


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that every tool with a Runner takes.

    Args:
        parser (argparse.ArgumentParser): The tool's parser.
    """
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


def merge_run_arguments(cfg: Config, args: argparse.Namespace) -> None:
    """Write launcher, ``--cfg-options`` and work directory into a config.

    Args:
        cfg (Config): The config, changed in place.
        args (argparse.Namespace): Those of :func:`add_run_arguments`, with
            ``config`` and ``work_dir``.
    """
    cfg.launcher = args.launcher
    cfg.merge_from_dict(args.cfg_options or {})
    if args.work_dir is not None:
        cfg.work_dir = args.work_dir
    elif cfg.get('work_dir') is None:
        stem = osp.splitext(osp.basename(args.config))[0]
        cfg.work_dir = osp.join('./work_dirs', stem)


@contextmanager
def checkpoint_loading(trust: bool = False) -> Iterator[None]:
    """Say in one message what to do when torch refuses a checkpoint.

    Note:
        PyTorch refuses by itself since 2.6, and onedl-mmengine then loads the
        file nevertheless. So PyTorch's environment variables are set inside
        the context: ``TORCH_FORCE_WEIGHTS_ONLY_LOAD``, or with ``trust``, or
        if it is set already, ``TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD``.

    Args:
        trust (bool): Whether to load files that hold more than plain data,
            which may run any code that their author put there. Defaults to
            False.

    Raises:
        SystemExit: If torch refuses a file, with exit status 1.
    """
    refuse, load = (
        'TORCH_FORCE_WEIGHTS_ONLY_LOAD',
        'TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD',
    )
    before = {name: os.environ.pop(name, None) for name in (refuse, load)}
    if trust or before[load] == '1':
        os.environ[load] = '1'
    else:
        os.environ[refuse] = '1'
    try:
        yield
    except pickle.UnpicklingError as error:
        if 'Weights only load failed' not in str(error):
            raise
        found = re.search(r'GLOBAL (\S+)', str(error))
        what = f' ({found.group(1)})' if found else ''
        raise SystemExit(
            f'The checkpoint holds objects beside plain data{what}, and '
            'such a file is not loaded by default, because loading it may run '
            'code. Files written with mmfba.PlainCheckpointHook '
            'load; older training checkpoints of MMEngine do not. If you '
            'trust whoever made this file, run the same command with '
            '--trust-checkpoint.'
        ) from None
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def add_step_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of tools that look at one training step.

    Args:
        parser (argparse.ArgumentParser): The tool's parser.
    """
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


@contextmanager
def one_line_errors() -> Iterator[None]:
    """End with the message of a wrong value instead of a traceback.

    Raises:
        SystemExit: With exit status 1.
    """
    try:
        yield
    except (ValueError, TypeError) as error:
        raise SystemExit(f'error: {error}') from error


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'{text!r} is no number above 0')
    return int(text)
