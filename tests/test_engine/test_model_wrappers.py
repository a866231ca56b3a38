# Copyright (c) mmfba authors.
"""LocalDistributedDataParallel in two processes (gloo).

Starting them costs more than a check: each pair runs many of them.
"""

import functools

import ddp_gradients
import ddp_losses
import ddp_missing
import ddp_steps
import ddp_zero
import pytest
import torch
from ddp import run_twice
from local_models import build

from mmfba.engine.model_wrappers import LocalDistributedDataParallel
from mmfba.engine.model_wrappers.gradient_reduction import _buckets


def test_in_two_processes(tmp_path):
    checks = [
        ddp_gradients.gradients_are_the_mean_of_the_ranks_own,
        ddp_gradients.gradients_with_other_options,
        ddp_gradients.gradients_travel_while_the_next_module_runs,
        ddp_gradients.gradients_travel_while_the_final_backward_runs,
        ddp_gradients.gradients_equal_those_of_one_process_on_the_whole_batch,
        ddp_losses.what_is_computed_does_not_wait_for_gradients,
        ddp_steps.accumulation_and_clipping,
        ddp_steps.static_graph_is_refused_where_local_backwards_run,
        ddp_steps.a_plain_loop_and_no_sync,
        ddp_steps.a_step_after_one_that_was_broken_off,
        ddp_steps.a_step_without_sync_after_one_without_backward,
        ddp_steps.a_parameter_without_gradient_is_an_error_that_names_it,
        ddp_steps.a_gradient_that_grows_under_way_is_an_error_that_names_it,
        ddp_steps.the_sync_norm_of_mmcv_can_be_cut,
        ddp_gradients.the_wrapper_of_mmengine_works_too,
        ddp_steps.mixed_precision,
        functools.partial(
            ddp_steps.a_run_with_ema_from_a_config, work_dir=str(tmp_path)
        ),
    ]
    run_twice(checks)


def test_what_one_of_two_processes_lacks():
    run_twice(
        [
            ddp_missing.a_parameter_unused_on_one_rank_has_gradient_zero_there,
            ddp_missing.a_constant_loss_on_one_rank_has_gradient_zero_there,
            ddp_missing.a_constant_loss_on_all_ranks_is_an_error,
        ]
    )


def test_a_sharded_optimizer(tmp_path):
    checks = (
        ddp_zero.a_sharded_optimizer_is_saved_and_resumed,
        ddp_zero.the_hook_of_mmengine_would_wait_for_ever,
    )
    run_twice(
        [functools.partial(c, work_dir=str(tmp_path)) for c in checks],
        timeout=180,
    )


@pytest.mark.slow
def test_all_options_in_two_processes():
    run_twice([ddp_gradients.gradients_with_all_options])


def test_a_plain_model_is_refused():
    with pytest.raises(TypeError, match='MMDistributedDataParallel'):
        LocalDistributedDataParallel(build('classification'))


def test_buckets():
    def parameter(size, dtype=torch.float32):
        p = torch.nn.Parameter(torch.zeros(size, dtype=dtype))
        p.grad = torch.zeros_like(p)
        return p

    a, b, c, d = (parameter(n) for n in (4, 4, 1, 100))
    half = parameter(2, torch.float16)
    found = list(_buckets([a, half, b, c, d], limit=32))
    expected = [[a, b], [c], [d], [half]]
    assert [[id(p) for p in ps] for ps in found] == [
        [id(p) for p in ps] for ps in expected
    ]
