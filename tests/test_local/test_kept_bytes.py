# Copyright (c) mmfba authors.
import gc
import weakref

import torch
from torch import nn

from mmfba.local.kept_bytes import KeptBytes


def test_each_storage_once_and_no_weights():
    network = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    with KeptBytes(network.parameters()) as kept:
        out = network(torch.rand(16, 4))
        assert kept.total == 4 * 16 * (4 + 8)  # ReLU and Linear share theirs
        (out * out.detach()).sum()
    assert kept.total == 4 * 16 * (4 + 8 + 2)
    network(torch.rand(16, 4))
    assert kept.total == 4 * 16 * (4 + 8 + 2)


def test_the_graph_can_run_backward():
    x = torch.rand(5, requires_grad=True)
    with KeptBytes(()):
        y = x.exp().sum()
    y.backward()
    assert torch.equal(x.grad, x.detach().exp())


def test_what_a_node_keeps_of_its_own_output_is_freed():
    gc.collect()
    gc.disable()  # a cycle through autograd's graph is none to Python
    try:
        x = torch.rand(5, requires_grad=True)
        with KeptBytes(()):
            y = x.exp()
        alive = weakref.ref(y)
        del y
        assert alive() is None
    finally:
        gc.enable()


def test_what_is_freed_is_not_counted():
    """A storage may come to lie where one that was freed lay."""
    x = torch.rand(5, requires_grad=True)
    with KeptBytes(()) as kept:
        first = x.exp()
        for _ in range(20):
            second = x.exp()  # it keeps its own output
            assert kept.total == first.nbytes + second.nbytes
            del second
            assert kept.total == first.nbytes
