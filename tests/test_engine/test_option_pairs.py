# Copyright (c) mmfba authors.
"""Pairs of options that leave the gradients as they are.

The oracle is the plain path: upstream's optimizer wrapper on the summed
losses, without what is exact. A scaler multiplies all losses by 8.
"""

import functools
import itertools

import pytest
import torch
from local_models import build, gradients, raw_data
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from mmengine.optim.optimizer import amp_optimizer_wrapper

from mmfba.engine.optim_wrappers import (
    AmpLocalLearningOptimWrapper,
    LocalLearningOptimWrapper,
)

SCALE = 8
EXACT = dict(chunk=1, checkpoint=True, lean_stem=True)
OPTIONS = (*EXACT, 'accumulation', 'two_pass', 'amp')
PAIRS = list(itertools.combinations(OPTIONS, 2))
WITH_AMP = [(*pair, 'amp') for pair in PAIRS if 'amp' not in pair]


@pytest.mark.parametrize('names', PAIRS + WITH_AMP, ids='+'.join)
def test_gradients_are_those_of_the_plain_path(names):
    amp, accumulation = 'amp' in names, 'accumulation' in names
    timing = 'two_pass' if 'two_pass' in names else 'causal'
    exact = {name: EXACT[name] for name in names if name in EXACT}
    model = make_model(timing=timing, **exact)
    got = step(model, True, amp, accumulation)
    exact_stem = amp and 'lean_stem' in names
    expected = plain_gradients(amp, timing, accumulation, exact_stem)
    tolerance = 0.01 if amp else 1e-10
    errors = {n: _error(g, expected[n]) for n, g in got.items()}
    assert not {n: e for n, e in errors.items() if not e < tolerance}


@pytest.mark.parametrize('timing', ['causal', 'two_pass'])
def test_mixed_precision_is_near_double_precision(timing):
    """So that both paths of the test above cannot be wrong alike."""
    expected = plain_gradients(False, timing)
    got = plain_gradients(True, timing)
    every = [torch.cat([g[n].flatten() for n in got]) for g in (got, expected)]
    assert _error(every[0] / SCALE, every[1]) < 0.03


@functools.lru_cache
def plain_gradients(amp, timing, accumulation=False, exact_stem=False):
    model = make_model(timing=timing, backward='summed')
    if exact_stem:  # the lean stem is computed in single precision
        conv = model.backbone.conv1
        conv.forward = torch.autocast('cpu', enabled=False)(conv.forward)
    return step(model, False, amp, accumulation)


def make_model(**options):
    return build(
        'detection',
        dict(
            backbone=dict(norm_eval=False),
            # No maps of one pixel: torch's bf16 conv gives NaN, by chance.
            neck=dict(num_outs=3, add_extra_convs=False),
            bbox_head=dict(anchor_generator=dict(strides=[8, 16, 32])),
        ),
        num_modules=3,
        partition='uniform',
        **options,
    )


def step(model, local, amp, accumulation):
    """Gradients before the optimizer would use them."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    options = dict(optimizer=optimizer)
    if accumulation:
        options.update(accumulative_counts=2)
    if amp:
        cls = AmpLocalLearningOptimWrapper if local else AmpOptimWrapper
        options.update(dtype='bfloat16')
    else:
        cls = LocalLearningOptimWrapper if local else OptimWrapper
        model.double().data_preprocessor.float()
        model.forward = _double_inputs(model.forward)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(amp_optimizer_wrapper, 'is_cuda_available', lambda: True)
        wrapper = cls(**options)
        if amp:  # mmengine's own is switched off without a GPU
            patch.setattr(
                wrapper.loss_scaler, 'scale', lambda loss: SCALE * loss
            )
        patch.setattr(wrapper, 'step', lambda: None)
        patch.setattr(wrapper, 'zero_grad', lambda: None)
        num = 2 if accumulation else 1
        wrapper.initialize_count_status(model, 0, num)
        for seed in range(num):
            model.train_step(raw_data('detection', 2, 64, seed), wrapper)
    return gradients(model)


def _double_inputs(forward):
    def run(inputs, data_samples=None, mode='tensor'):
        for sample in data_samples:
            boxes = sample.gt_instances.bboxes
            sample.gt_instances.bboxes = boxes.double()
        return forward(inputs.double(), data_samples, mode=mode)

    return run


def _error(got, expected):
    error = (got - expected).norm() / expected.norm().clamp(min=1e-9)
    return error.item()
