# Copyright (c) mmfba authors.
"""Test a checkpoint with a config of mmpretrain, mmdet, mmagic or mmfba.

The metrics also go to <work dir>/<time stamp>/<time stamp>.json.
"""

import argparse
import os
import os.path as osp
from contextlib import ExitStack
from typing import TYPE_CHECKING, Optional

from mmfba.engine.command_line import (
    add_run_arguments,
    merge_run_arguments,
    read_config,
)
from mmfba.type_name import type_name

if TYPE_CHECKING:
    from mmengine.config import Config
    from mmengine.runner import Runner


def parse_args(argv=None) -> argparse.Namespace:
    """Read the command line.

    Args:
        argv (list[str], optional): Arguments instead of the command line's.
            Defaults to None.

    Returns:
        argparse.Namespace: The arguments.
    """
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('config', help='test config file path')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument(
        '--work-dir',
        help='directory for logs and metrics. Defaults to work_dir of the '
        'config, else ./work_dirs/<name of the config>',
    )
    parser.add_argument(
        '--out', help='file to write to: predictions, or metrics in mmagic'
    )
    parser.add_argument(
        '--out-item',
        choices=['metrics', 'pred'],
        help='what to write there instead; metrics also as .json or .yaml',
    )
    parser.add_argument(
        '--show', action='store_true', help='show predictions in a window'
    )
    parser.add_argument(
        '--show-dir', help='directory for pictures of predictions'
    )
    parser.add_argument(
        '--wait-time',
        type=float,
        default=2,
        help='seconds that each window stays. Defaults to 2',
    )
    parser.add_argument(
        '--tta',
        action='store_true',
        help='test-time augmentation by tta_model and tta_pipeline of the '
        "config, or else by its library's defaults: the image and its mirror "
        'image',
    )
    add_run_arguments(parser)
    args = parser.parse_args(argv)
    if args.out_item and not args.out:
        parser.error('--out-item needs --out')
    pickled = (args.out or '.pkl').endswith(('.pkl', '.pickle'))
    if not pickled and args.out_item != 'metrics':
        parser.error(
            '--out must end in .pkl or .pickle, but for --out-item metrics'
        )
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    return args


def _draw(
    cfg: 'Config', show: bool, out_dir: Optional[str], wait_time: float
) -> None:
    # DetVisualizationHook puts <work dir>/<time stamp> before a relative
    # path, once more at every batch.
    out_dir = out_dir and osp.abspath(out_dir)
    hook = (cfg.get('default_hooks') or {}).get('visualization', {})
    kind = type_name(hook.get('type'))
    if kind == 'DetVisualizationHook':
        hook.update(draw=True, show=show, test_out_dir=out_dir)
        hook.update(wait_time=wait_time)
    elif kind == 'VisualizationHook':
        hook.update(enable=True, interval=1, show=show, out_dir=out_dir)
        hook.update(wait_time=wait_time)
    else:
        raise ValueError(
            '--show and --show-dir need DetVisualizationHook (mmdet) or '
            'VisualizationHook (mmpretrain) as default_hooks.visualization, '
            f'but the config has {kind!r}. Configs of mmagic draw '
            'by themselves where custom_hooks has BasicVisualizationHook.'
        )


def merge_args(cfg: 'Config', args: argparse.Namespace) -> None:
    """Write the command line's settings into the config.

    Args:
        cfg (Config): The config, changed in place.
        args (argparse.Namespace): What :func:`parse_args` returns.

    Raises:
        ValueError: If the config lacks what ``--show``, ``--show-dir`` or
            ``--tta`` needs.
    """
    merge_run_arguments(cfg, args)
    cfg.load_from = args.checkpoint
    cfg.resume = False
    if args.show or args.show_dir:
        _draw(cfg, args.show, args.show_dir, args.wait_time)
    if args.tta:
        from mmfba.engine.test_time_augmentation import use_tta

        use_tta(cfg)


def write_figures_once(runner: 'Runner') -> None:
    """Let the main process alone write the figures of a test to its log.

    MMEngine's LoggerHook writes them in all processes, into the same file,
    which two at a time can damage.

    Args:
        runner (Runner): A Runner that has not tested yet.
    """
    from mmengine.dist import is_main_process
    from mmengine.hooks import LoggerHook

    if is_main_process():
        return
    for hook in runner.hooks:
        if isinstance(hook, LoggerHook):
            hook.after_test_epoch = lambda *_, **__: None


def main(argv=None) -> None:
    """Build the Runner and test.

    Args:
        argv (list[str], optional): Arguments instead of the command line's.
            Defaults to None.
    """
    args = parse_args(argv)
    from mmfba.engine.checkpoint_files import (
        check_checkpoint,
        checkpoint_loading,
    )
    from mmfba.engine.dump_results import dump_results
    from mmfba.engine.processes import several_processes
    from mmfba.engine.runner_class import runner_class
    from mmfba.engine.user_errors import one_line_errors

    with ExitStack() as processes:
        trust = args.trust_checkpoint
        with one_line_errors(), checkpoint_loading(trust):
            cfg = read_config(args.config)
            merge_args(cfg, args)
            check_checkpoint(args.checkpoint, trust)
            processes.enter_context(several_processes(cfg))
            runner = runner_class(cfg).from_cfg(cfg)
            if args.out:
                dump_results(runner, args.out, args.out_item)
            write_figures_once(runner)
        runner.register_hook(dict(type='mmfba.CheckpointFitHook', test=True))
        with one_line_errors(runner), checkpoint_loading(trust):
            runner.test()
        del runner  # gloo ends with the last that holds its group


if __name__ == '__main__':
    main()
