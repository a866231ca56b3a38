# Copyright (c) mmfba authors.
import pytest
import torch
from torch import nn

from mmfba.local.replacement import as_one, replaced


def test_the_first_of_several_modules_computes_all():
    modules = [nn.Linear(2, 2), nn.Tanh(), nn.Identity()]
    network = nn.Sequential(*modules)
    x = torch.ones(3, 2)
    expected, heard = network(x), []
    forwards = [module.forward for module in modules]

    def forward(x):
        heard.append('together')
        for step in forwards:
            x = step(x)
        return x

    modules[-1].register_forward_hook(
        lambda module, args, out: heard.append(out)
    )
    state = list(network.state_dict())
    with replaced(as_one(modules, forward)):
        assert network(x).equal(expected)
        assert list(network.state_dict()) == state
    assert heard[0] == 'together' and heard[1].equal(expected)
    assert network(x).equal(expected) and len(heard) == 3


def test_what_was_there_before_is_there_again():
    module = nn.Tanh()
    own = module.forward = lambda x: x + 1  # as a user may have patched it
    with pytest.raises(ZeroDivisionError):
        with replaced({module: lambda x: 1 / 0}):
            module(0)
    assert module.forward is own
    other = nn.Tanh()
    with replaced({other: lambda x: x}):
        assert other(3) == 3
    assert 'forward' not in vars(other)
