# Copyright (c) mmfba authors.
from importlib import import_module

import pytest
import torch
from mmdet.models.losses import FocalLoss
from torch.utils._python_dispatch import TorchDispatchMode

from mmfba.local.memory import PeakTracker
from mmfba.models.losses import LeanSigmoidFocalLoss
from mmfba.registry import MODELS

module = import_module('mmfba.models.sigmoid_focal_sum')
NUM, CLASSES = 23, 4


def make_inputs(weight, dtype=torch.float64):
    rng = torch.Generator().manual_seed(0)
    pred = 4 * torch.randn(NUM, CLASSES, generator=rng, dtype=dtype)
    # All classes and the background.
    target = torch.randint(0, CLASSES + 1, (NUM,), generator=rng)
    shape = {'none': None, 'row': (NUM,), 'element': (NUM, CLASSES)}[weight]
    if shape:
        weight = torch.rand(*shape, generator=rng, dtype=dtype)
        weight[3] = 0
    return pred, target, weight if shape else None


def value_and_gradient(loss, pred, target, weight, **kwargs):
    pred = pred.clone().requires_grad_()
    value = loss(pred, target, weight, **kwargs)
    (3 * value).backward()
    return value.detach(), pred.grad


def assert_equals_mmdet(options, weight, **kwargs):
    inputs = make_inputs(weight)
    expected = value_and_gradient(FocalLoss(**options), *inputs, **kwargs)
    lean = LeanSigmoidFocalLoss(**options)
    got = value_and_gradient(lean, *inputs, **kwargs)
    assert got[0].shape == ()
    for a, b in zip(got, expected):
        assert a.dtype == b.dtype
        assert torch.allclose(a, b, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize('weight', ['none', 'row', 'element'])
@pytest.mark.parametrize(
    'kwargs',
    [
        dict(),
        dict(avg_factor=7.0),
        dict(avg_factor=torch.tensor(7.0)),
        dict(avg_factor=0.0),
        dict(reduction_override='sum'),
    ],
)
@pytest.mark.parametrize(
    'options',
    [
        dict(),
        dict(gamma=1.5, alpha=0.375, loss_weight=2.5),
        dict(gamma=0.0, alpha=0.5),
    ],
)
def test_equals_mmdet(options, kwargs, weight):
    assert_equals_mmdet(options, weight, **kwargs)


@pytest.mark.parametrize('weight', ['none', 'row', 'element'])
@pytest.mark.parametrize('slice_size', [1, 3 * CLASSES, 5 * CLASSES + 1])
def test_several_slices(monkeypatch, weight, slice_size):
    monkeypatch.setattr(module, 'ELEMENTS', slice_size)
    assert_equals_mmdet(dict(), weight, avg_factor=5.0)


def test_alpha_that_float32_cannot_hold():
    assert_equals_mmdet(dict(alpha=0.4), 'none')


def test_sum_is_a_reduction():
    assert_equals_mmdet(dict(reduction='sum'), 'row')


def test_equation_of_the_paper():
    # FL(p_t) = -alpha_t (1 - p_t)^gamma log(p_t), eq. 5 of RetinaNet.
    pred, target, _ = make_inputs('none')
    expected = 0.0
    for logits, label in zip(pred, target):
        for cls, x in enumerate(logits):
            p = 1 / (1 + torch.exp(-x))
            p_t, alpha_t = (p, 0.375) if cls == label else (1 - p, 0.625)
            expected -= alpha_t * (1 - p_t) ** 2 * torch.log(p_t)
    loss = LeanSigmoidFocalLoss(alpha=0.375, reduction='sum')
    assert loss(pred, target).item() == pytest.approx(expected.item(), 1e-10)


def test_gradient_check():
    pred, target, weight = make_inputs('element')
    loss = LeanSigmoidFocalLoss(gamma=1.7)
    pred = pred[:5].requires_grad_()
    torch.autograd.gradcheck(lambda x: loss(x, target[:5], weight[:5]), pred)


@pytest.mark.parametrize('extreme', [-200.0, 200.0])
def test_extreme_logits(extreme):
    pred = torch.full((2, 3), extreme)
    target = torch.tensor([0, 3])
    options = dict(reduction='sum')
    inputs = (pred, target, None)
    expected = value_and_gradient(FocalLoss(**options), *inputs)
    got = value_and_gradient(LeanSigmoidFocalLoss(**options), *inputs)
    for a, b in zip(got, expected):
        assert torch.isfinite(a).all()
        assert torch.allclose(a, b)


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
def test_precision_of_other_types(dtype):
    pred, target, weight = make_inputs('row')
    expected = value_and_gradient(
        FocalLoss(), pred.to(dtype).double(), target, weight
    )
    value, grad = value_and_gradient(
        LeanSigmoidFocalLoss(), pred.to(dtype), target, weight.float()
    )
    assert value.dtype == torch.float32 and grad.dtype == dtype
    assert value.item() == pytest.approx(expected[0].item(), rel=1e-6)
    tolerance = torch.finfo(dtype).eps
    assert torch.allclose(
        grad.double(), expected[1], rtol=8 * tolerance, atol=1e-9
    )


def test_no_priors():
    pred = torch.zeros(0, CLASSES, requires_grad=True)
    target = torch.zeros(0, dtype=torch.long)
    value = LeanSigmoidFocalLoss()(pred, target, avg_factor=1.0)
    value.backward()
    assert value == 0 and pred.grad.shape == (0, CLASSES)


def saved_tensors(loss, *inputs, **kwargs):
    saved = []

    def pack(tensor):
        saved.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        value = loss(*inputs, **kwargs)
    assert value.requires_grad
    return {x.untyped_storage().data_ptr(): x for x in saved}


@pytest.mark.parametrize('weight', ['none', 'row', 'element'])
@pytest.mark.parametrize('slice_size', [2**18, 8])
def test_keeps_nothing_but_its_inputs(monkeypatch, weight, slice_size):
    monkeypatch.setattr(module, 'ELEMENTS', slice_size)
    pred, target, weight = make_inputs(weight)
    pred.requires_grad_()
    inputs = {
        x.untyped_storage().data_ptr()
        for x in (pred, target, weight)
        if x is not None
    }
    loss = LeanSigmoidFocalLoss()
    saved = saved_tensors(loss, pred, target, weight, avg_factor=3.0)
    assert saved.keys() == inputs
    upstream = saved_tensors(FocalLoss(), pred, target, weight, avg_factor=3.0)
    own = [x.nbytes for ptr, x in upstream.items() if ptr not in inputs]
    assert sum(own) >= 5 * pred.nbytes  # what there is to save


@pytest.mark.parametrize('weight', ['none', 'row', 'element'])
def test_gradient_in_place_of_the_logits(weight):
    pred, target, weight = make_inputs(weight)
    expected = value_and_gradient(
        FocalLoss(gamma=1.5, reduction='sum'), pred, target, weight
    )
    if weight is not None:
        weight = weight.view(NUM, -1, 1)
    leaf = pred.clone().requires_grad_()
    logits = (leaf * 1)[..., None]
    before = logits.detach().clone()
    value = module.sigmoid_focal_sum(
        logits, target[:, None], weight, 1.5, 0.25, overwrite=True
    )
    assert not torch.equal(logits, before)
    (3 * value).backward(retain_graph=True)
    assert torch.allclose(value, expected[0], rtol=1e-10)
    assert torch.allclose(leaf.grad, expected[1], rtol=1e-10, atol=1e-12)
    with pytest.raises(RuntimeError, match='one backward only'):
        value.backward()


def test_gradients_too_small_for_float16_are_kept():
    """The scaler's factor comes when they are computed already."""
    pred = torch.full((4, 3), -8.0)
    target = torch.full((4,), 3)
    options = dict(avg_factor=100.0)
    losses = (
        (FocalLoss(loss_weight=2.0**16), torch.float64),
        (LeanSigmoidFocalLoss(loss_weight=2.0**16), torch.float16),
    )
    grads = [
        value_and_gradient(loss, pred.to(dtype), target, None, **options)[1]
        for loss, dtype in losses
    ]
    # One unit in the last place of the gradient times 2^12.
    assert grads[0].abs().min() / 3 / 2**16 * 100 < 2.0**-24
    assert torch.allclose(grads[1].double(), grads[0], rtol=0.05)


def test_is_registered_for_configs():
    cfg = dict(type='mmfba.LeanSigmoidFocalLoss', gamma=1.5, loss_weight=2.0)
    loss = MODELS.build(cfg)
    assert isinstance(loss, FocalLoss)
    assert (loss.gamma, loss.alpha, loss.loss_weight) == (1.5, 0.25, 2.0)


@pytest.mark.parametrize('reduction', ['none', 'batchmean'])
def test_other_reductions_are_refused(reduction):
    pred, target, _ = make_inputs('none')
    message = f"reduction='{reduction}'.* use reduction 'mean' or 'sum'"
    with pytest.raises(ValueError, match=message):
        LeanSigmoidFocalLoss(reduction=reduction)(pred, target)
    with pytest.raises(ValueError, match=message):
        LeanSigmoidFocalLoss()(pred, target, reduction_override=reduction)


def test_one_hot_targets_are_refused():
    pred, _, _ = make_inputs('none')
    target = torch.zeros(NUM, CLASSES)
    with pytest.raises(ValueError, match=r'shape \(23, 4\).*class indices'):
        LeanSigmoidFocalLoss()(pred, target)


def test_softmax_is_refused():
    with pytest.raises(AssertionError, match='Only sigmoid'):
        LeanSigmoidFocalLoss(use_sigmoid=False)


def test_average_of_a_sum_is_refused_as_in_mmdet():
    pred, target, _ = make_inputs('none')
    for loss in (FocalLoss, LeanSigmoidFocalLoss):
        with pytest.raises(ValueError, match='avg_factor'):
            loss(reduction='sum')(pred, target, avg_factor=2.0)


def test_probabilities_instead_of_logits_are_refused():
    # mmdet's FocalLoss takes them with activated=True.
    with pytest.raises((TypeError, ValueError), match='activated'):
        LeanSigmoidFocalLoss(activated=True)


class CountOperators(TorchDispatchMode):
    number = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.number += 1
        return func(*args, **(kwargs or {}))


def test_operators():
    """Each is a kernel to launch on a GPU."""
    pred = torch.zeros(10**6, 80, device='meta', requires_grad=True)
    target = torch.zeros(10**6, dtype=torch.long, device='meta')
    with CountOperators() as operators:
        LeanSigmoidFocalLoss()(pred, target, avg_factor=1.0).backward()
    slices = 1 + pred.numel() // module.ELEMENTS
    assert operators.number < 95 * slices


def test_temporaries_are_bounded():
    leaf = torch.zeros(10**6, 80, device='meta', requires_grad=True)
    target = torch.zeros(10**6, dtype=torch.long, device='meta')
    with PeakTracker() as tracker:
        pred = leaf * 1  # as heads make a copy in another layout
        loss = LeanSigmoidFocalLoss()(pred, target, avg_factor=1.0)
        del pred
        loss.backward()
    # Logits and gradient, and in each slice four tensors at once.
    assert tracker.peak < 2.1 * leaf.nbytes + 4 * 4 * module.ELEMENTS


@pytest.mark.parametrize('num', [1, 6, NUM])
def test_flattened_weight_of_every_element(monkeypatch, num):
    # mmdet's FocalLoss takes it. Read as a weight for each row, it fits by
    # chance where the slices have equally many rows, and for a single row.
    monkeypatch.setattr(module, 'ELEMENTS', 3 * CLASSES)
    pred, target, weight = make_inputs('element')
    pred, target, weight = pred[:num], target[:num], weight[:num].flatten()
    expected = FocalLoss()(pred, target, weight)
    try:
        got = LeanSigmoidFocalLoss()(pred, target, weight)
    except ValueError as error:  # refusing it is as good
        assert 'weight' in str(error)
    else:
        assert torch.allclose(got, expected)
