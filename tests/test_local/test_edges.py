# Copyright (c) mmfba authors.
import gc
from weakref import ref

import pytest
import torch

from mmfba.local.edges import Edges


def loss_of(x, weight, edge):
    """Two edges, and the first is read in front of and behind the second."""
    first = edge(x * weight)
    second = edge((first * weight).sin())
    return (second * first + first.exp()).sum() + (second * weight).sum()


def test_gradients_are_those_without_edges():
    x = torch.rand(5, dtype=torch.float64)
    grads = []
    for edge in (lambda tensor: tensor, Edges().leaf):
        weight = torch.rand(
            5, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
        ).requires_grad_()
        loss_of(x, weight, edge).backward()
        grads.append(weight.grad)
    torch.testing.assert_close(*grads, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize('reads_before', [True, False])
def test_a_closed_edge_gets_no_gradient_of_what_follows(reads_before):
    weight = torch.ones(3, requires_grad=True)
    edges = Edges()
    leaf = edges.leaf(2 * weight)
    before = leaf.sum() if reads_before else weight.sum()
    edges.close()
    assert not (leaf * 5).requires_grad
    before.backward()  # after the closing, as with summed losses
    assert weight.grad.tolist() == [2.0 if reads_before else 1.0] * 3


def test_two_backwards_before_the_closing():
    """Each hands on its own gradient, as accumulation does."""
    weight = torch.ones(3, requires_grad=True)
    for factor in (1, 10):
        leaf = Edges().leaf(2 * weight)
        (factor * leaf).sum().backward()
    assert weight.grad.tolist() == [22.0] * 3


def test_what_needs_no_gradient_is_no_edge():
    tensor = torch.ones(2)
    assert Edges().leaf(tensor) is tensor


def test_nothing_outlives_the_step():
    alive = []
    for closed in (True, False):
        weight = torch.ones(3, requires_grad=True)
        edges = Edges()
        leaf = edges.leaf(2 * weight)
        alive += [ref(leaf), ref(edges)]
        if closed:
            edges.close()
        else:
            leaf.sum().backward()
        del leaf, edges
    gc.collect()
    assert [r() for r in alive] == [None] * 4
