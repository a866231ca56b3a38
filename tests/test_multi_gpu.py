# Copyright (c) mmfba authors.
"""benchmarks/multi_gpu.sh and overlap.py, as far as they run on a CPU."""

import importlib
import json
import os
import shutil
import subprocess
import sys

import pytest
from run_tool import ROOT

pytestmark = pytest.mark.slow
ENVIRONMENT = dict(
    os.environ,
    CUDA_VISIBLE_DEVICES='',
    OMP_NUM_THREADS='1',
    PYTHONPATH=str(ROOT),
)


def _run(*command):
    done = subprocess.run(
        command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_checks_of_two_gpus_pass_over_gloo():
    out = _run('bash', 'benchmarks/multi_gpu.sh', sys.executable, 'gloo')
    assert 'gradients of EDSR equal those of one process' in out
    assert 'SyncBatchNorm: not run' in out
    assert 'an overflow in one process skips the step of both' in out
    assert '\nLocalDistributedDataParallel: ' in out


@pytest.mark.skipif(shutil.which('tc') is None, reason='there is no `tc`')
def test_all_starts_in_time(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / 'benchmarks')
    try:
        with importlib.import_module('two_machines').two_machines('1gbit'):
            pass
    except PermissionError as error:
        pytest.skip(f'no network namespaces: {error}')
    out = str(tmp_path / 'overlap.json')
    script = 'benchmarks/overlap.py'
    _run(sys.executable, script, '--steps', '1', '--out', out)
    with open(out) as file:
        rows = {row['arm']: row for row in json.load(file)['rows']}
    ours = rows['LocalDistributedDataParallel']
    after = rows['the last module after the backward']
    assert ours['started'] == 1 > after['started'] > 0
    assert rows['all after the backward']['arrived'] == 0
