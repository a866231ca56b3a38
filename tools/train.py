# Copyright (c) mmfba authors.
"""Train from a config of mmpretrain, mmdet, mmagic or mmfba."""

import argparse
import os
from contextlib import ExitStack
from typing import TYPE_CHECKING, Optional

from mmfba.engine.command_line import (
    add_run_arguments,
    merge_run_arguments,
    read_config,
)
from mmfba.local_config import WRAPPERS, localise
from mmfba.type_name import type_name

if TYPE_CHECKING:
    from mmengine.config import Config, ConfigDict

AMP_TYPES = {
    'OptimWrapper': 'AmpOptimWrapper',
    WRAPPERS['OptimWrapper']: WRAPPERS['AmpOptimWrapper'],
}


def parse_args(argv=None) -> argparse.Namespace:
    """Read the command line.

    Args:
        argv (list[str], optional): Arguments instead of the command line's.
            Defaults to None.

    Returns:
        argparse.Namespace: The arguments.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='train config file path')
    parser.add_argument(
        '--work-dir',
        help='directory for logs and checkpoints. Defaults to work_dir of '
        'the config, else ./work_dirs/<name of the config>',
    )
    parser.add_argument(
        '--amp',
        action='store_true',
        help='train with automatic mixed precision',
    )
    parser.add_argument(
        '--localise',
        type=int,
        metavar='K',
        help='train the plain model of the config by local learning, cut '
        'into K modules; model.local_learning has more settings',
    )
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rate with the batch size',
    )
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        help='checkpoint to resume from, or the latest one in the work '
        'directory if no path is given',
    )
    parser.add_argument(
        '--no-validate',
        action='store_true',
        help='do not evaluate during training',
    )
    add_run_arguments(parser)
    args = parser.parse_args(argv)
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    return args


def _use_amp(optim_wrapper: 'ConfigDict') -> None:
    # Without `optimizer` it is a dict of several wrappers, with no own type.
    default = 'OptimWrapper' if 'optimizer' in optim_wrapper else None
    kind = type_name(optim_wrapper.get('type', default))
    if kind not in AMP_TYPES and kind not in AMP_TYPES.values():
        raise ValueError(
            f'--amp works with optim_wrapper.type in '
            f'{list(AMP_TYPES)}, but the config has {kind!r}.'
        )
    optim_wrapper.type = AMP_TYPES.get(kind, kind)
    optim_wrapper.setdefault('loss_scale', 'dynamic')


def merge_args(cfg: 'Config', args: argparse.Namespace) -> None:
    """Write the command line's settings into the config.

    Args:
        cfg (Config): The config, changed in place.
        args (argparse.Namespace): What :func:`parse_args` returns.

    Raises:
        ValueError: If the config lacks what ``--amp`` or ``--auto-scale-lr``
            needs.
    """
    merge_run_arguments(cfg, args)
    for key in ('max_epochs', 'max_iters'):
        length = (cfg.get('train_cfg') or {}).get(key, 1)
        if not isinstance(length, int) or length < 1:
            raise ValueError(
                f'train_cfg.{key}={length!r}: expected an integer above 0'
            )
    if args.amp:
        _use_amp(cfg.optim_wrapper)
    if args.auto_scale_lr:
        if 'base_batch_size' not in (cfg.get('auto_scale_lr') or {}):
            raise ValueError(
                '--auto-scale-lr needs auto_scale_lr=dict('
                'base_batch_size=...) in the config.'
            )
        cfg.auto_scale_lr.enable = True
    if args.no_validate:
        cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    if args.resume is not None:
        auto = args.resume == 'auto'
        cfg.resume = 'auto' if auto else True
        cfg.load_from = cfg.get('load_from') if auto else args.resume

    if cfg.get('default_hooks') is None:
        cfg.default_hooks = dict()
    cfg.default_hooks.setdefault(
        'plain_checkpoint', dict(type='mmfba.PlainCheckpointHook')
    )
    stock = dict(type='CheckpointHook', interval=1)  # the Runner's default
    hook = cfg.default_hooks.get('checkpoint', stock)
    if hook and type_name(hook.get('type')) == stock['type']:
        cfg.default_hooks.checkpoint = dict(
            hook, type='mmfba.AtomicCheckpointHook'
        )


def choose_checkpoint(cfg: 'Config', trust: bool) -> Optional[str]:
    """Look at the checkpoint that training begins with.

    Args:
        cfg (Config): The config. Where it says to resume from the last
            checkpoint, ``load_from`` becomes the last whole one, if any.
        trust (bool): Whether a checkpoint may run code.

    Returns:
        str, optional: What the log should say of the choice.

    Raises:
        ValueError: If the file is no checkpoint.
    """
    from mmfba.engine.checkpoint_files import (
        check_checkpoint,
        last_whole_checkpoint,
    )

    note = None
    resume, start = cfg.get('resume'), cfg.get('load_from')
    if resume == 'auto' or (resume and start is None):
        last, note = last_whole_checkpoint(cfg.work_dir, trust)
        cfg.resume, cfg.load_from = last is not None, last or start
    check_checkpoint(cfg.get('load_from'), trust, cfg.get('resume', False))
    return note


def main(argv=None) -> None:
    """Build the Runner and train.

    Args:
        argv (list[str], optional): Arguments instead of the command line's.
            Defaults to None.
    """
    args = parse_args(argv)
    from mmfba.engine.checkpoint_files import checkpoint_loading
    from mmfba.engine.processes import several_processes
    from mmfba.engine.runner_class import runner_class
    from mmfba.engine.unwrap import refuse_nested
    from mmfba.engine.user_errors import one_line_errors

    with ExitStack() as processes:
        trust = args.trust_checkpoint
        with one_line_errors(), checkpoint_loading(trust):
            cfg = read_config(args.config)
            if args.localise is not None:
                cfg = localise(cfg, args.localise)
            merge_args(cfg, args)
            note = choose_checkpoint(cfg, trust)
            processes.enter_context(several_processes(cfg))
            runner = runner_class(cfg).from_cfg(cfg)
            refuse_nested(runner.model)
        if note:
            runner.logger.info(note)
        runner.register_hook(dict(type='mmfba.CheckpointFitHook'))
        runner.register_hook(dict(type='mmfba.SameStepsHook'))
        with one_line_errors(runner), checkpoint_loading(trust):
            runner.train()
        del runner  # gloo ends with the last that holds its group


if __name__ == '__main__':
    main()
