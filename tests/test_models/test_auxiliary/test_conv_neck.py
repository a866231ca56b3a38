# Copyright (c) mmfba authors.
import pytest
import torch
import torch.nn.functional as F
from local_models import build, data, raw_data
from specs import make_spec

from mmfba.engine.optim_wrappers import LocalLearningOptimWrapper
from mmfba.models.auxiliary import ConvNeck

methods = pytest.mark.parametrize('method', ['dgl', 'greedy'])


def local(method):
    return build(
        'super-resolution',
        num_modules=3,
        auxiliary=dict(neck=dict(type='mmfba.ConvNeck', method=method)),
    )


@methods
def test_loss_is_that_of_the_equation(method):
    model = local(method).double()
    batch = data(model, 'super-resolution')
    samples = batch['data_samples']
    samples.gt_img = samples.gt_img.double()
    aux, net = model.local_aux[0], model.generator
    x = torch.randn(4, 8, 16, 16, dtype=torch.double, requires_grad=True)
    h = x
    if method == 'dgl':
        weights = list(aux.neck.parameters())
        assert len(weights) == 6
        for weight, bias in zip(weights[::2], weights[1::2]):
            h = F.relu(F.conv2d(h, weight, bias))
    weight, bias = aux.head.parameters()
    output = F.pixel_shuffle(F.conv2d(h, weight, bias, padding=1), 2)
    output = output * net.std.double() + net.mean.double()
    expected = (output - samples.gt_img).abs().mean()
    (loss,) = aux.loss(x, model.learner.bank, samples).values()
    torch.testing.assert_close(loss, expected)
    inputs = [x, *aux.parameters()]
    torch.testing.assert_close(
        torch.autograd.grad(loss, inputs),
        torch.autograd.grad(expected, inputs),
    )


@methods
def test_a_step_trains_every_module(method):
    model = local(method)
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    logs = model.train_step(
        raw_data('super-resolution'), LocalLearningOptimWrapper(optimizer)
    )
    assert {'aux0/total', 'aux1/total'} < set(logs)
    for name, p in model.named_parameters():
        if p.requires_grad and p.ndim > 1:
            assert not p.equal(before[name]), name


def test_wrong_method_is_named():
    net = build('super-resolution').generator
    with pytest.raises(ValueError, match=r"method='DGL': choose from \('dgl'"):
        ConvNeck(make_spec(net, 'body.0'), 'DGL')


@pytest.mark.parametrize('task', ['classification', 'detection'])
def test_other_tasks_are_refused(task):
    neck = dict(type='mmfba.ConvNeck', method='dgl')
    with pytest.raises(ValueError, match='ConvNeck is for super-resolution'):
        build(task, num_modules=3, auxiliary=dict(neck=neck))
