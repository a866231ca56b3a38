# Copyright (c) mmfba authors.
"""The commands for two machines, each a network namespace of this one."""

import contextlib
import importlib
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from killed_training import assert_same, make_config, result
from run_tool import ROOT, free_port, run_tool

from mmfba.engine.processes import UNSHARED

pytestmark = pytest.mark.slow
START = 'tools/dist_train.sh {config} 2'
ELASTIC = (
    'torchrun --nnodes 2 --nproc_per_node 2 --max-restarts 3 '
    '--rdzv-backend c10d --rdzv-id 1 --rdzv-endpoint {first}:29400 '
    '--rdzv-conf is_host={is_first} --local-addr {address} '
    'tools/train.py {config} --launcher pytorch --resume'
)


@pytest.fixture
def two_machines(monkeypatch):
    """What benchmarks/two_machines.py has."""
    monkeypatch.syspath_prepend(ROOT / 'benchmarks')
    module = importlib.import_module('two_machines')
    try:
        with module.two_machines() as machines:
            yield machines, module.ADDRESSES
    except PermissionError as error:
        pytest.skip(f'no network namespaces: {error}')


def _config(folder):
    folder.mkdir()
    cfg = make_config(folder, 'fba')
    cfg.dump(str(folder / 'config.py'))
    return cfg


@contextlib.contextmanager
def _started(cfg, command, two_machines, **environment):
    machines, addresses = two_machines
    folder = Path(cfg.work_dir).parent
    processes = []
    for rank, (machine, address) in enumerate(zip(machines, addresses)):
        filled = command.format(
            config=folder / 'config.py',
            first=addresses[0],
            is_first=int(rank == 0),
            address=address,
        )
        path = f'{os.path.dirname(sys.executable)}{os.pathsep}'
        with open(folder / f'log{rank}', 'w') as log:
            processes.append(
                subprocess.Popen(
                    [*shlex.split(machine), *shlex.split(filled)],
                    cwd=ROOT,
                    env=dict(
                        os.environ,
                        PYTHONPATH=str(ROOT),
                        PATH=path + os.environ['PATH'],
                        CUDA_VISIBLE_DEVICES='',
                        NODE_RANK=str(rank),
                        MASTER_ADDR=addresses[0],
                        **environment,
                    ),
                    stdout=log,
                    stderr=subprocess.STDOUT,
                )
            )
    try:
        yield processes
        for process in processes:
            process.wait(600)
    finally:
        for process in processes:
            process.kill()
    logs = [(folder / f'log{rank}').read_text() for rank in range(2)]
    assert [p.returncode for p in processes] == [0, 0], logs


def test_two_machines_train_as_one(tmp_path, two_machines):
    one = _config(tmp_path / 'one')
    run_tool(tmp_path, 'dist_train.sh one/config.py 4')
    expected = result(one)

    two = _config(tmp_path / 'two')
    port = str(free_port())
    with _started(two, START, two_machines, NNODES='2', PORT=port):
        pass
    assert_same(result(two), expected)

    # A process of the second machine is killed: both start anew.
    killed = _config(tmp_path / 'killed')
    with _started(killed, ELASTIC, two_machines, **{UNSHARED: '1'}) as agents:
        record = Path(killed.work_dir) / 'last_checkpoint'
        while not record.exists() and agents[1].poll() is None:
            time.sleep(0.1)
        os.kill(_children(agents[1].pid)[0], signal.SIGKILL)
    log = (tmp_path / 'killed/log0').read_text()
    assert 'Resume from the last checkpoint' in log
    assert_same(result(killed), expected)


def _children(pid):
    found = Path(f'/proc/{pid}/task/{pid}/children').read_text()
    return [int(child) for child in found.split()]
