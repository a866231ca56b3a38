# Copyright (c) mmfba authors.
from torch import nn

from mmfba.local.trained import Trained


def test_parameters_are_in_the_order_of_the_network():
    """Processes that reduce gradients one by one need the same order."""
    network = nn.Sequential(*[nn.Linear(2, 2) for _ in range(8)])
    names = [name for name, _ in network.named_parameters()]
    auxiliary = nn.Linear(2, 1)
    trained = Trained(
        network, network, [frozenset(names[:12])], [auxiliary], None
    )
    expected = [*network.parameters()][:12] + [*auxiliary.parameters()]
    found = trained.parameters(0)
    assert all(p is q for p, q in zip(found, expected, strict=True))
    assert trained.early == found
    assert len(trained.late) == 4
