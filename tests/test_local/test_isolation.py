# Copyright (c) mmfba authors.
import pytest
import torch
from torch import nn

from mmfba.local.isolation import check_isolation, graph_leaves


@pytest.fixture
def net():
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 2)
    )


def forward(net, x):
    for layer in net[:-1]:
        x = layer(x)
    return net[-1](x.mean(dim=(2, 3))).sum()


def images():
    return torch.rand(2, 3, 6, 6)


def check(net, loss, own, allowed):
    names = {p: name for name, p in net.named_parameters()}
    own = set(own.parameters())
    check_isolation(4, [loss], own, own.union(allowed.parameters()), names)


def test_leaves_are_the_parameters(net):
    assert graph_leaves(forward(net, images())) == set(net.parameters())


def test_leaves_through_views_and_in_place_operations(net):
    x = net[0].weight.view(-1)[3:].clone().relu_().add_(1)
    weight = torch.rand(2, requires_grad=True)
    assert graph_leaves(x.sum() + weight[0]) == {net[0].weight, weight}


def test_no_leaves_behind_detach_and_frozen(net):
    net[0].requires_grad_(False)
    loss = (
        forward(net, images())
        + net[1](images().mean() * torch.ones(2, 4, 1, 1)).detach().sum()
    )
    assert graph_leaves(loss) == {*net[1].parameters(), *net[2].parameters()}
    with torch.no_grad():
        assert graph_leaves(forward(net, images())) == set()


def test_deep_graph_does_not_exhaust_the_stack():
    x = leaf = torch.ones((), requires_grad=True)
    for _ in range(5000):
        x = x + 1
    assert graph_leaves(x) == {leaf}


def test_isolated(net):
    check(net, forward(net, images()), net[0], net)


def test_foreign_parameters_are_named(net):
    with pytest.raises(RuntimeError, match=r"module 4 .*\['2.bias', '2.wei"):
        check(net, forward(net, images()), net[0], net[:2])


def test_foreign_tensor_has_no_name(net):
    loss = forward(net, images().requires_grad_())
    with pytest.raises(RuntimeError, match=r'tensor of shape \(2, 3, 6, 6\)'):
        check(net, loss, net[0], net)


def test_loss_that_misses_its_module(net):
    net[0].requires_grad_(False)
    with pytest.raises(RuntimeError, match='module 4 does not reach'):
        check(net, forward(net, images()), net[0], net)
