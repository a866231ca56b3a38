# Copyright (c) mmfba authors.
"""Train a small detector by BP and by local learning, and compare.

Writes the digit scenes, trains and tests both arms side by side with
tools/train.py and tools/test.py, traces the memory of one training step of
each, and leaves in work_dirs/demo: results.json, memory.png and
detections.png. A run that was broken off continues where it was.
"""

import argparse
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, List

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from mmfba.analysis.step_profile import StepProfile

ROOT = Path(__file__).resolve().parents[1]
NAME = 'retinanet_r18-w32_fpn_1xb8-6e_digit-scenes'
ARMS = {
    'BP': f'configs/bp/{NAME}.py',
    'local FPN K=4': f'configs/local_fpn/local-fpn-k4_{NAME}.py',
}
COLUMNS = {
    'mAP': ('map', '.3f'),
    'AP50': ('ap50', '.3f'),
    'peak MiB': ('peak_mib', '.1f'),
    'static': ('static_mib', '.1f'),
    'rest': ('activation_mib', '.1f'),
    'rest / BP': ('activation_ratio', '.2f'),
    'GFLOPs / step': ('gflops', '.1f'),
    's / iter': ('seconds_per_iter', '.2f'),
}


def main() -> None:
    """Run the demo."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--work-dir', type=Path, default='work_dirs/demo')
    parser.add_argument('--out', help='a second place for results.json')
    parser.add_argument('--note', help='a remark to keep with the results')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        default=[],
        help='settings of both trainings, in the form key=value',
    )
    args = parser.parse_args()
    from mmfba.analysis.detections import plot_detections
    from mmfba.analysis.environment import write_result
    from mmfba.analysis.plots import plot_timelines
    from mmfba.analysis.side_by_side import train_side_by_side
    from mmfba.analysis.train_and_test import run_script

    os.chdir(ROOT)
    work_dir = args.work_dir
    run_script('tools/dataset_converters/digit_scenes.py')

    print(
        f'\nBoth arms train at a time, with one thread each; what they print '
        f'is in {work_dir}/*/output.txt'
    )
    runs = train_side_by_side(ARMS, work_dir, args.cfg_options)
    profiles = profile_arms()
    rows = [make_row(a, runs[a], profiles[a], profiles['BP']) for a in ARMS]
    found = dict(command='make demo', note=args.note, rows=rows)
    for path in filter(None, [work_dir / 'results.json', args.out]):
        write_result(path, **found)
    plot_timelines(
        profiles,
        work_dir / 'memory.png',
        'RetinaNet-R18, 8 images of 128x128',
    )
    plot_detections(
        {a: (ARMS[a], runs[a]['checkpoint']) for a in ARMS},
        'data/digit_scenes/annotations/val.json',
        'data/digit_scenes/val',
        work_dir / 'detections.png',
    )
    show(rows, work_dir)


def profile_arms() -> Dict[str, 'StepProfile']:
    """Memory and FLOPs of a training step of each arm."""
    from mmengine.config import Config

    from mmfba.analysis.benchmark import ArmRun, measure
    from mmfba.local_config import complete

    def arm_run(config: str) -> ArmRun:
        cfg = Config.fromfile(config)
        complete(cfg)
        batch_size = cfg.train_dataloader.batch_size
        return ArmRun(cfg, 'local', batch_size, (128, 128), 'cpu')

    return measure({arm: partial(arm_run, ARMS[arm]) for arm in ARMS})[1]


def make_row(
    arm: str,
    run: Dict[str, Any],
    profile: 'StepProfile',
    baseline: 'StepProfile',
) -> Dict[str, Any]:
    """One row of the table, as it is written to results.json."""
    return dict(
        arm=arm,
        config=run['config'],
        map=run['metrics']['coco/bbox_mAP'],
        ap50=run['metrics']['coco/bbox_mAP_50'],
        peak_mib=profile.peak_bytes / 2**20,
        static_mib=profile.static_bytes / 2**20,
        activation_mib=profile.activation_bytes / 2**20,
        activation_ratio=profile.activation_bytes / baseline.activation_bytes,
        gflops=profile.flops / 1e9,
        seconds_per_iter=run['seconds_per_iter'],
    )


def show(rows: List[Dict[str, Any]], work_dir: Path) -> None:
    """Print the table and say where the pictures are."""
    table = Table(title='Digit scenes, RetinaNet-R18, 6 epochs, batch 8')
    table.add_column('arm')
    for name in COLUMNS:
        table.add_column(name, justify='right')
    for row in rows:
        table.add_row(
            row['arm'], *(format(row[key], f) for key, f in COLUMNS.values())
        )
    console = Console(width=100)
    console.print(table)
    console.print(
        'A narrow network: 32 base channels, 64 in FPN and head. Memory is '
        'that of one training step:\nstatic is what stays between steps '
        '(weights, optimizer state, batch), rest is what the\nstep adds. '
        'GFLOPs are those of convolutions and matrix products, backward '
        f'included.\nPictures: {work_dir}/memory.png, '
        f'{work_dir}/detections.png'
    )


if __name__ == '__main__':
    main()
