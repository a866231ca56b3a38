# Copyright (c) mmfba authors.
"""One of two processes fails, is killed, or is silent."""

import random
import re
import time
from functools import partial

import group_training
import pytest
import torch
from fault_configs import classifier_config
from group_training import run_group
from killed_training import ITERATIONS, assert_same, make_config, result

pytestmark = pytest.mark.skipif(
    torch.cuda.is_available(), reason='a forked process cannot use CUDA'
)
TRIES = 10
TIMEOUT = 15


def _config(folder, make=make_config, *args):
    folder.mkdir()
    return make(folder, *args)


@pytest.mark.slow
def test_killed_at_random_moments(tmp_path):
    whole = _config(tmp_path / 'whole', make_config, 'fba')
    status, _, log = run_group(whole)
    assert status == 0, log
    rng, resumed = random.Random(0), 0
    for i in range(TRIES):
        cfg = _config(tmp_path / str(i), make_config, 'fba')
        moment = rng.randrange(ITERATIONS), rng.uniform(0, 0.3)
        kill = partial(group_training.killed, *moment)
        status, _, log = run_group(cfg, kill, rng.randrange(2), restarts=1)
        assert status == 0, log
        assert_same(result(cfg), result(whole))
        resumed += 'Resume from' in log
    assert resumed > TRIES / 2
    print(f'{TRIES} kills, {resumed} of them after the first checkpoint')


@pytest.mark.parametrize(
    'fault, words',
    [
        ('fails_in_a_local_loss', 'LookupError: a fault of the test'),
        pytest.param(
            'data_end_early',
            'the data ended after 1 of 2 batches, in epoch 1',
            marks=pytest.mark.slow,
        ),
    ],
)
def test_one_message_names_the_process_that_failed(fault, words, tmp_path):
    cfg = _config(tmp_path / 'run', classifier_config)
    cfg.train_dataloader.batch_size = 2
    status, _, log = run_group(cfg, getattr(group_training, fault))
    assert status == 1
    lines = re.findall('^error: (.*)', log, re.M)
    (own,) = (line for line in lines if 'lost the others' not in line)
    assert own.startswith('rank 1 of 2 (') and words in own
    # Of the other process there is one line at most.
    assert len(lines) <= 2
    traceback = re.findall('^Traceback', log, re.M)  # not the agent's
    assert len(traceback) == (fault == 'fails_in_a_local_loss'), log
    first = log[log.index('Root Cause') :]
    assert re.search(r'rank +: 1 ', first)


@pytest.mark.slow
def test_nobody_waits_longer_than_the_time_limit(tmp_path):
    cfg = _config(tmp_path / 'run', make_config, 'fba')
    cfg.env_cfg = dict(dist_cfg=dict(timeout=TIMEOUT))
    status, _, log = run_group(cfg, group_training.is_silent)
    ended = time.time()
    assert status == 1
    assert 'error: rank 0 of 2 (' in log and 'lost the others' in log
    since = float(re.search(r'silent since (\S+)', log)[1])
    assert ended - since < TIMEOUT + 40
