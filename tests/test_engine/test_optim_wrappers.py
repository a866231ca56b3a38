# Copyright (c) mmfba authors.
import copy

import pytest
import torch
from local_models import TASKS, build, gradients, raw_data
from mmengine.logging import MMLogger
from mmengine.optim import AmpOptimWrapper, OptimWrapper, build_optim_wrapper
from mmengine.optim.optimizer import amp_optimizer_wrapper

from mmfba.engine.optim_wrappers import (
    AmpLocalLearningOptimWrapper,
    LocalLearningOptimWrapper,
)

tasks = pytest.mark.parametrize('task', TASKS)


def _sgd(model):
    return torch.optim.SGD(model.parameters(), lr=0.1)


def _steps(model, wrapper, task, num, size=64):
    for seed in range(num):
        batch = raw_data(task, seed=seed, batch_size=2, size=size)
        model.train_step(copy.deepcopy(batch), wrapper)


@tasks
def test_accumulation_means_the_same_as_with_summed_losses(task):
    """Upstream's wrapper on the summed losses is the reference."""
    weights = []
    for backward, cls in (
        ('summed', OptimWrapper),
        ('immediate', LocalLearningOptimWrapper),
    ):
        model = build(task, num_modules=3, backward=backward).double()
        model.data_preprocessor.float()
        wrapper = cls(
            _sgd(model), accumulative_counts=2, clip_grad=dict(max_norm=1.0)
        )
        wrapper.initialize_count_status(model, 0, 3)
        model.forward = _double_inputs(model.forward)
        before = copy.deepcopy(model.state_dict())
        for iteration in range(3):
            _steps(model, wrapper, task, 1)
            assert wrapper._inner_count == iteration + 1
            moved = any(
                not p.equal(before[n]) for n, p in model.named_parameters()
            )
            assert moved == (iteration > 0)
        weights.append(dict(model.named_parameters()))
    for name, expected in weights[0].items():
        torch.testing.assert_close(
            weights[1][name], expected, rtol=1e-9, atol=1e-12
        )


@tasks
def test_bf16_amp_scales_every_loss_alike(task, monkeypatch):
    """On the CPU: mmengine's wrapper insists on an accelerator, so its check
    is told that there is one; its scaler stands aside there. A scaler that
    multiplies by 8 takes its place, to see that each loss passes it."""
    monkeypatch.setattr(
        amp_optimizer_wrapper, 'is_cuda_available', lambda: True
    )
    results = {}
    for backward, cls in (
        ('summed', AmpOptimWrapper),
        ('immediate', AmpLocalLearningOptimWrapper),
    ):
        model = build(task, num_modules=3, backward=backward)
        wrapper = cls(optimizer=_sgd(model), dtype='bfloat16')
        seen = []
        monkeypatch.setattr(
            wrapper.loss_scaler,
            'scale',
            lambda loss, seen=seen: (
                seen.append(torch.is_autocast_cpu_enabled()) or 8 * loss
            ),
        )
        monkeypatch.setattr(wrapper, 'step', lambda: None)
        monkeypatch.setattr(wrapper, 'zero_grad', lambda: None)
        # Larger: torch's bf16 conv gives NaN on maps of one pixel, by chance.
        _steps(model, wrapper, task, 1, size=128)
        assert seen == [False] * (1 if backward == 'summed' else 3)
        results[backward] = gradients(model)
    for name, grad in results['immediate'].items():
        expected = results['summed'][name]
        error = (grad - expected).norm() / expected.norm().clamp(min=1e-6)
        assert error < 0.05, name


@pytest.mark.skipif(torch.cuda.is_available(), reason='needs no GPU')
@pytest.mark.parametrize('dtype', [None, torch.bfloat16])
def test_a_cpu_trains_in_bfloat16_alone(dtype):
    model = build('classification', num_modules=3)
    for other in ('float16', torch.float16):
        with pytest.raises(ValueError, match="on a CPU choose 'bfloat16'"):
            AmpLocalLearningOptimWrapper(optimizer=_sgd(model), dtype=other)
    wrapper = AmpLocalLearningOptimWrapper(optimizer=_sgd(model), dtype=dtype)
    before = copy.deepcopy(model.backbone.conv1.weight)
    types = set()
    for module in model.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(
                lambda *args: types.add(args[-1].dtype)
            )
    _steps(model, wrapper, 'classification', 1, size=128)
    assert types == {torch.bfloat16}
    assert not before.equal(model.backbone.conv1.weight)
    assert not amp_optimizer_wrapper.is_cuda_available()


@pytest.mark.skipif(torch.cuda.is_available(), reason='needs no GPU')
@pytest.mark.parametrize('has_bfloat16', [True, False])
def test_a_cpu_without_bfloat16_is_said_to_be_slow(
    has_bfloat16, monkeypatch, caplog
):
    monkeypatch.setattr(
        torch.ops.mkldnn, '_is_mkldnn_bf16_supported', lambda: has_bfloat16
    )
    logger = MMLogger.get_current_instance()
    monkeypatch.setattr(logger, 'handlers', [caplog.handler])
    AmpLocalLearningOptimWrapper(
        optimizer=_sgd(torch.nn.Linear(2, 2)), dtype='bfloat16'
    )
    said = 'no instructions for bfloat16' in caplog.text
    assert said != has_bfloat16


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
@tasks
def test_fp16_scaler_on_a_gpu(task):
    model = build(task, num_modules=3).cuda()
    wrapper = AmpLocalLearningOptimWrapper(optimizer=_sgd(model))
    before = copy.deepcopy(model.state_dict())
    _steps(model, wrapper, task, 8)
    assert wrapper.loss_scaler.get_scale() > 0
    assert any(not p.equal(before[n]) for n, p in model.named_parameters())
    assert all(p.isfinite().all() for p in model.parameters())


def test_the_lent_backward_is_given_back_after_an_exception():
    model = build('classification', num_modules=3)
    wrapper = LocalLearningOptimWrapper(_sgd(model))
    with pytest.raises(KeyError), wrapper.optim_context(model):
        assert model.learner._local_backward == wrapper.local_backward
        raise KeyError
    assert model.learner._local_backward is None


def test_both_are_built_by_name():
    model = build('classification', num_modules=3)
    cfg = dict(
        type='mmfba.LocalLearningOptimWrapper',
        optimizer=dict(type='SGD', lr=0.1),
    )
    assert type(build_optim_wrapper(model, cfg)) is LocalLearningOptimWrapper


def _double_inputs(forward):

    def run(inputs, data_samples=None, mode='tensor'):
        if hasattr(data_samples, 'gt_img'):
            data_samples.gt_img = data_samples.gt_img.double()
        return forward(inputs.double(), data_samples, mode=mode)

    return run
