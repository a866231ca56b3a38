# Copyright (c) mmfba authors.
"""kill -9, resume: the result is that of a training never interrupted."""

import random
import signal

import pytest
import torch
from killed_training import (
    ARMS,
    assert_same,
    flatten,
    make_config,
    result,
    run,
)

pytestmark = pytest.mark.skipif(
    torch.cuda.is_available(), reason='a forked process cannot use CUDA'
)
KILLS = 24


def _whole(folder, arm):
    if arm == 'amp' and not hasattr(torch.amp, 'GradScaler'):
        pytest.skip('torch 2.1 has no gradient scaler for the CPU')
    folder.mkdir()
    cfg = make_config(folder, arm)
    status, seconds = run(cfg)
    assert status == 0
    return result(cfg), seconds


@pytest.mark.parametrize('arm', ['fba', 'man'])
def test_killed_in_the_middle_of_writing(arm, tmp_path):
    expected, _ = _whole(tmp_path / 'whole', arm)
    (tmp_path / 'broken').mkdir()
    cfg = make_config(tmp_path / 'broken', arm)
    # Four times to the disk an iteration; it dies writing the fourth file.
    assert run(cfg, writes=13)[0] == -signal.SIGKILL
    assert run(cfg)[0] == 0
    assert_same(result(cfg), expected)
    paths = flatten(expected)
    assert any('local_aux' in path for path in paths)
    assert any('momentum_buffer' in path for path in paths)
    assert any('ema_state_dict/module.local_aux' in path for path in paths)
    # MAN's moving average is not drawn anew.
    average = any('local_aux.0.average.' in path for path in paths)
    assert average == (arm == 'man')


@pytest.mark.slow
@pytest.mark.parametrize('arm', ARMS)
def test_killed_at_random_moments(arm, tmp_path):
    expected, seconds = _whole(tmp_path / 'whole', arm)
    if arm == 'amp':
        assert '/optimizer/loss_scaler/scale' in flatten(expected)
    rng, kills, runs = random.Random(0), 0, 0
    while kills < KILLS:
        runs += 1
        folder = tmp_path / str(runs)
        folder.mkdir()
        cfg = make_config(folder, arm)
        while True:
            status, _ = run(cfg, delay=rng.uniform(0, seconds))
            if status == 0:
                break
            assert status == -signal.SIGKILL
            kills += 1
        assert_same(result(cfg), expected)
    print(f'{arm}: {kills} kills in {runs} trainings of {seconds:.1f} s')
