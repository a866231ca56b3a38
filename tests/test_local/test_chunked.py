# Copyright (c) mmfba authors.
import weakref

import pytest
import torch
from torch import nn
from toy_network import assert_same, gradients, make_batch, make_model, total

from mmfba.local import ImageWise, backward_by_chunks
from mmfba.local.memory import PeakTracker

INPUTS, TARGETS = make_batch()
MODULES = ((0, 1), (1, 3), (3, 4))
READS = {1: ['input', 'stem.pooled']}


def trained(num_modules=3, backward=torch.Tensor.backward, **options):
    modules = MODULES if num_modules == 3 else ((0, 4),)
    model = make_model(modules, READS if num_modules == 3 else {}, **options)
    returned = model.loss(INPUTS, TARGETS, backward=backward)
    total(returned).backward()
    return model, returned


@pytest.mark.parametrize('chunk', [1, 2, 3, 4, 9])
@pytest.mark.parametrize('num_modules', [1, 3])
def test_same_losses_and_gradients_as_the_whole_batch(num_modules, chunk):
    options = dict(loss_weight=0.5)
    whole, expected = trained(num_modules, **options)
    model, returned = trained(num_modules, chunk=chunk, **options)
    assert_same(gradients(model), gradients(whole), 1e-12)
    for name, value in returned.items():
        assert value.item() == pytest.approx(expected[name].item(), abs=1e-12)
    assert len(returned) == 1 + (num_modules - 1)  # no averages of chunks


def test_shared_head_and_batch_norm_statistics():
    whole, _ = trained(shared=True)
    model, _ = trained(shared=True, chunk=1)
    assert_same(gradients(model), gradients(whole), 1e-12)
    for name, value in whole.state_dict().items():
        assert model.state_dict()[name].equal(value), name


def test_all_backwards_go_through_the_lent_one():
    scaled = []

    def backward(loss):
        scaled.append(loss.item())
        (8 * loss).backward()

    whole, _ = trained()
    model, returned = trained(chunk=3, backward=backward)
    # Two chunks of each module, and a zero that hands over to its units.
    assert len(scaled) == 3 * (2 + 1) and scaled[2::3] == [0] * 3
    expected = {name: 8 * g for name, g in gradients(whole).items()}
    assert_same(gradients(model), expected, 1e-11)
    assert sum(scaled[-3:]) == pytest.approx(returned['loss_cls'].item())


def test_summed_backward_ignores_chunks():
    model = make_model(MODULES, READS, backward='summed', chunk=1)
    plain = make_model(MODULES, READS, backward='summed')
    for m in (model, plain):
        total(m.loss(INPUTS, TARGETS)).backward()
    assert_same(gradients(model), gradients(plain))
    assert not model.learner.needs_backward


def test_one_module_in_chunks_needs_a_backward_of_its_own():
    assert make_model(chunk=2).learner.needs_backward
    assert not make_model().learner.needs_backward


def test_a_gradient_across_a_cut_is_found():
    model = make_model(MODULES, {}, chunk=2)
    foreign = model.net.stem[0].weight

    def image_wise(x, bank, targets):
        return ImageWise((x,), lambda f, rows: dict(loss=foreign.sum()))

    model.aux[1].image_wise = image_wise
    with pytest.raises(RuntimeError, match=r'module 1 reaches.*net\.stem'):
        model.loss(INPUTS, TARGETS)


def test_a_chunk_is_freed_before_the_next():
    conv = nn.Conv2d(3, 3, 3).double()
    live = INPUTS.clone().requires_grad_() * 1.0
    alive, refs = [], []

    def loss(features, rows):
        x = conv(features[0])
        alive.append([w() is not None for w in refs])
        refs.append(weakref.ref(x))
        return dict(loss=x.sum())

    backward_by_chunks(ImageWise((live, None), loss), 1, torch.Tensor.backward)
    assert alive == [[], [False], [False] * 2, [False] * 3]


def test_gradients_of_features_are_not_held_through_the_backward():
    x = torch.zeros(4, 1 << 16, requires_grad=True)
    first, held = x * 1, []
    live = first * 1
    # When the gradient arrives at the second operator, the first is done
    # with its own.
    first.register_hook(lambda _: held.append(tracker.current))
    part = ImageWise((live,), lambda f, _: dict(loss=f[0].sum()))
    with PeakTracker().track(x, first, live) as tracker:
        before = tracker.current
        backward_by_chunks(part, 2, torch.Tensor.backward)
    assert held[0] - before <= 1.1 * x.nbytes
    assert x.grad.eq(1).all()
