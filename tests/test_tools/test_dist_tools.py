# Copyright (c) mmfba authors.
"""tools/dist_train.sh and tools/dist_test.sh, two processes on the CPU."""

import json

import pytest
import torch
from run_tool import run_tool
from tiny_configs import CLASSIFICATION, DETECTION, EDITING, localised
from tiny_data import write_cifar10, write_coco, write_div2k

pytestmark = pytest.mark.slow
WRITERS = {
    'classification': (CLASSIFICATION, write_cifar10, 'data/cifar10'),
    'detection': (DETECTION, write_coco, 'data/coco'),
    'super-resolution': (EDITING, write_div2k, 'data'),
}


def _write(task, folder):
    base, write_data, data_root = WRITERS[task]
    write_data(folder / data_root)
    (folder / 'base.py').write_text(base)
    (folder / 'local.py').write_text(localised(task, 'base.py'))


@pytest.mark.parametrize('task', WRITERS)
def test_train_resume_and_test(task, tmp_path):
    _write(task, tmp_path)
    out = run_tool(tmp_path, 'dist_train.sh local.py 2 --work-dir w')
    assert 'mmfba.LocalDistributedDataParallel' in out
    by_epoch = task != 'super-resolution'
    more = 'max_epochs=2' if by_epoch else 'max_iters=4'
    out = run_tool(
        tmp_path,
        'dist_train.sh local.py 2 --work-dir w --resume --cfg-options '
        f'train_cfg.{more}',
    )
    assert f'resumed epoch: {int(by_epoch)}' in out
    names = ['epoch_1', 'epoch_2'] if by_epoch else ['iter_2', 'iter_4']
    states = [
        torch.load(tmp_path / f'w/{name}.pth', weights_only=True)['state_dict']
        for name in names
    ]
    moved = {n for n, v in states[0].items() if not v.equal(states[1][n])}
    assert not any(name.startswith('module.') for name in moved)
    aux = {name for name in moved if name.startswith('local_aux.')}
    assert aux and moved - aux

    _same_metrics_in_two_processes(tmp_path, f'w/{names[1]}.pth')


def test_sharded_training(tmp_path):
    """Its checkpoints are those of any other training."""
    _write('detection', tmp_path)
    sharded = 'model_wrapper_cfg.type=mmfba.LocalFullyShardedDataParallel'
    run_tool(
        tmp_path,
        f'dist_train.sh local.py 2 --work-dir w --cfg-options {sharded}',
    )
    out = run_tool(
        tmp_path,
        'train.py local.py --work-dir w --resume --cfg-options '
        'train_cfg.max_epochs=2',
    )
    assert 'resumed epoch: 1' in out
    options = f'--cfg-options {sharded}'
    _same_metrics_in_two_processes(tmp_path, 'w/epoch_1.pth', options)


def _same_metrics_in_two_processes(tmp_path, checkpoint, options=''):
    """With one process and with two, each image once."""
    run_tool(
        tmp_path,
        f'dist_test.sh local.py {checkpoint} 2 --work-dir two {options}',
    )
    run_tool(tmp_path, f'test.py local.py {checkpoint} --work-dir one')
    one, two = (_metrics(tmp_path / name) for name in ('one', 'two'))
    times = {'time', 'data_time'}
    assert one.keys() - times
    for name in one.keys() - times:
        assert one[name] == pytest.approx(two[name], abs=1e-4), name


@pytest.mark.parametrize('task', WRITERS)
def test_plain_training(task, tmp_path):
    _write(task, tmp_path)
    out = run_tool(tmp_path, 'dist_train.sh base.py 2 --work-dir w')
    assert 'MMDistributedDataParallel' in out
    assert list((tmp_path / 'w').glob('*.pth'))


@pytest.mark.parametrize('config', ['base.py', 'local.py'])
def test_no_thread_of_gloo_outlives_the_tools(config, tmp_path):
    # One that does may abort the process when the interpreter goes.
    _write('classification', tmp_path)
    run_tool(tmp_path, f'../tests/gloo_threads.py {config}')


def _metrics(work_dir):
    log = max(work_dir.glob('*/*.json'))
    return json.loads(log.read_text().splitlines()[-1])
