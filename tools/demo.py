# Copyright (c) mmfba authors.
"""Train a small detector by BP and by FBA, and compare.

Writes the digit scenes, trains and tests both arms with tools/train.py and
tools/test.py, traces the memory of one training step of each, and leaves in
work_dirs/demo: results.json, memory.png and detections.png. A run that was
broken off continues where it was.
"""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List

from mmengine.config import Config
from rich.console import Console
from rich.table import Table

from mmfba.analysis.environment import describe_environment
from mmfba.analysis.detections import plot_detections
from mmfba.analysis.plots import plot_timelines
from mmfba.analysis.step_profile import profile_config

ROOT = Path(__file__).resolve().parents[1]
NAME = 'retinanet_r18-w32_fpn_1xb16-6e_digit-scenes'
CONFIGS = {
    'BP': f'configs/bp/{NAME}.py',
    'FBA K=4': f'configs/fba/fba-k4_{NAME}.py'
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
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--work-dir', default='work_dirs/demo')
    parser.add_argument('--out', help='a second place for results.json')
    args = parser.parse_args()
    os.chdir(ROOT)
    work_dir = Path(args.work_dir)
    work_dir.mkdir(parents=True, exist_ok=True)
    run('tools/dataset_converters/digit_scenes.py')

    rows, profiles, checkpoints = [], {}, {}
    for arm, config in CONFIGS.items():
        folder = work_dir / config.split('/')[1]
        checkpoints[arm] = train(config, folder)
        metrics = test(config, checkpoints[arm], folder / 'test')
        rows.append(
            dict(
                arm=arm,
                config=config,
                map=metrics['coco/bbox_mAP'],
                ap50=metrics['coco/bbox_mAP_50'],
                seconds_per_iter=seconds_per_iter(folder)))
    for row in rows:
        profiles[row['arm']] = add_profile(row)
    for row in rows:
        row['activation_ratio'] = (
            row['activation_mib'] / rows[0]['activation_mib'])

    results = dict(
        command='make demo', **describe_environment(), rows=rows)
    for path in filter(None, [work_dir / 'results.json', args.out]):
        Path(path).write_text(json.dumps(results, indent=1) + '\n')
    plot_timelines(
        profiles, work_dir / 'memory.png',
        'Memory over one training step, RetinaNet-R18, 16 images 128x128')
    plot_detections(
        {arm: (CONFIGS[arm], checkpoints[arm]) for arm in CONFIGS},
        'data/digit_scenes/annotations/val.json', 'data/digit_scenes/val',
        work_dir / 'detections.png')
    show(rows, work_dir)


def run(*command: str) -> None:
    """Run a script of the project; stop with its exit status if it fails."""
    print(f'\n$ python {" ".join(command)}', flush=True)
    done = subprocess.run([sys.executable, '-W', 'ignore', *command])
    if done.returncode:
        sys.exit(done.returncode)


def train(config: str, folder: Path) -> str:
    """Train, or continue; start anew if the config changed since."""
    text, stamp = Config.fromfile(config).pretty_text, folder / 'config.txt'
    if folder.exists() and (not stamp.exists() or stamp.read_text() != text):
        shutil.rmtree(folder)
    folder.mkdir(exist_ok=True)
    stamp.write_text(text)
    run('tools/train.py', config, '--work-dir', str(folder), '--resume')
    return (folder / 'last_checkpoint').read_text()


def test(config: str, checkpoint: str, folder: Path) -> Dict[str, float]:
    """Test and return the metrics that tools/test.py wrote."""
    run('tools/test.py', config, checkpoint, '--work-dir', str(folder))
    newest = max(folder.glob('*/*.json'), key=os.path.getmtime)
    return json.loads(newest.read_text().splitlines()[-1])


def seconds_per_iter(folder: Path) -> float:
    """Median over the log of the training."""
    lines = [
        json.loads(line) for log in folder.glob('*/vis_data/scalars.json')
        for line in log.read_text().splitlines()
    ]
    return statistics.median(x['time'] for x in lines if 'loss' in x)


def add_profile(row: Dict[str, Any]) -> Any:
    """Trace one training step and add its memory and FLOPs to a row."""
    profile = profile_config(Config.fromfile(row['config']))
    row['peak_mib'] = profile.peak_bytes / 2**20
    row['static_mib'] = profile.static_bytes / 2**20
    row['activation_mib'] = profile.activation_bytes / 2**20
    row['gflops'] = profile.flops / 1e9
    return profile


def show(rows: List[Dict[str, Any]], work_dir: Path) -> None:
    table = Table(title='Digit scenes, RetinaNet-R18, 6 epochs, batch 16')
    table.add_column('arm')
    for name in COLUMNS:
        table.add_column(name, justify='right')
    for row in rows:
        table.add_row(row['arm'],
                      *(format(row[key], f) for key, f in COLUMNS.values()))
    console = Console(width=100)
    console.print(table)
    console.print(
        'Narrow network: 32 base channels, 64 in FPN and head. Peak memory of '
        'one training step:\nstatic is what stays between steps (weights, '
        'optimizer state, batch), rest is what the\nstep adds. GFLOPs of '
        'convolutions and matrix products, forward and backward.')
    console.print(f'Pictures: {work_dir}/memory.png, '
                  f'{work_dir}/detections.png')


if __name__ == '__main__':
    main()
