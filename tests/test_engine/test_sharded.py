# Copyright (c) mmfba authors.
"""LocalFullyShardedDataParallel in two and three processes (gloo)."""

import functools

import ddp_sharded
import pytest
import torch
from ddp import run_twice
from ddp_zero import OURS, read
from local_models import build
from mmengine.utils import digit_version

from mmfba.engine.model_wrappers import LocalFullyShardedDataParallel
from mmfba.engine.model_wrappers.local_fully_sharded_data_parallel import (
    OLDEST,
)

needs_fsdp2 = pytest.mark.skipif(
    digit_version(torch.__version__) < digit_version(OLDEST),
    reason='PyTorch is too old',
)


def test_an_old_pytorch_is_refused(monkeypatch):
    monkeypatch.setattr(torch, '__version__', '2.5.1')
    with pytest.raises(ValueError, match='torch=2.5.1: .* begins with 2.6'):
        LocalFullyShardedDataParallel(build('classification', num_modules=3))


@needs_fsdp2
def test_in_two_processes():
    run_twice(
        [
            ddp_sharded.weights_are_gathered_once_and_freed_at_cuts,
            ddp_sharded.weights_are_those_of_data_parallel_training,
            ddp_sharded.accumulation_and_clipping,
            ddp_sharded.gradients_that_a_process_lacks,
            ddp_sharded.refusals,
        ]
    )


@needs_fsdp2
@pytest.mark.slow
def test_all_options_in_two_processes():
    run_twice(
        [
            ddp_sharded.the_same_with_other_options,
            ddp_sharded.mixed_precision,
            ddp_sharded.a_step_after_one_that_was_broken_off,
        ]
    )


@needs_fsdp2
@pytest.mark.slow
def test_a_run_in_two_processes_then_three_then_one(tmp_path):
    work_dir = str(tmp_path)
    check = functools.partial(ddp_sharded.runs_of_a_config, work_dir=work_dir)
    refused = functools.partial(
        ddp_sharded.what_the_runner_refuses, work_dir=work_dir
    )
    run_twice([check, refused])
    names = [cls.__name__ for cls in ddp_sharded.WRAPPERS]
    files = [str(tmp_path / f'2/{name}/epoch_1.pth') for name in names]
    equal = ddp_sharded.weights_are_those_of_data_parallel_training
    run_twice([functools.partial(check, resume=files), equal], processes=3)
    saved = []
    for name in names:
        file = tmp_path / f'3/{name}/epoch_2.pth'
        ddp_sharded.run(tmp_path / name, OURS, file, launcher='none')
        saved.append(read(tmp_path / f'{name}/epoch_3.pth'))
    ddp_sharded.assert_same_files(*saved, tolerance=1e-5)
