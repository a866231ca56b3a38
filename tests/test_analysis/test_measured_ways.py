# Copyright (c) mmfba authors.
import math

import pytest
import torch
from local_models import config

from mmfba.analysis.measured_ways import check_gpu, measure_ways
from mmfba.analysis.step_profile import StepProfile
from mmfba.analysis.way import Way

IMAGES, SHAPE = 2, (16, 16)


def way(peak, **changes):
    profile = StepProfile(peak, 1, 1, 0, 1, [], [], {})
    return Way(f'needs {peak}', 'yes', changes, profile)


def measure(ways, budget):
    cfg = config('super-resolution', num_modules=2)
    seen = []
    step = (IMAGES, SHAPE, budget, 1)
    measure_ways(ways, cfg, *step, seen.append, device='cpu')
    return seen


def test_ways_that_should_fit_run_with_their_changes():
    local = {'model.local_learning.num_modules': 1}
    ways = [way(20), way(5), way(6, **local)]
    assert measure(ways, 10) == ['needs 5', 'needs 6']
    assert ways[0].measured is None and ways[0].peak == 20
    (first, seconds), (second, _) = (way.measured for way in ways[1:])
    assert first != second and seconds > 0
    assert ways[1].peak == first


def test_where_none_should_fit_the_least_runs():
    ways = [way(20), way(15)]
    assert measure(ways, 10) == ['needs 15']


def test_a_way_that_runs_out_of_memory_says_so(monkeypatch):
    def runs_out(*args, **kwargs):
        raise torch.cuda.OutOfMemoryError('CUDA out of memory')

    monkeypatch.setattr('mmfba.analysis.measured_ways.ArmRun', runs_out)
    ways = [way(5)]
    measure(ways, 10)
    assert ways[0].measured == (math.inf, math.inf)


def test_without_a_gpu_it_is_one_error(monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    with pytest.raises(ValueError, match='--measure 2: there is no GPU here'):
        check_gpu(2)
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    check_gpu(2)
