# Copyright (c) mmfba authors.
import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from mmfba.analysis.flop_counter import flop_counter


def count(counter, *convs, needs_input_grad=True):
    with counter:
        for conv in convs:
            x = torch.randn(2, conv.in_channels, 9, 7)
            conv(x.requires_grad_(needs_input_grad)).sum().backward()
    return counter.get_total_flops()


@pytest.mark.parametrize('groups', [1, 2, 8])
@pytest.mark.parametrize('kind', [nn.Conv2d, nn.ConvTranspose2d])
@pytest.mark.parametrize('stride', [1, 2])
@pytest.mark.parametrize('needs_input_grad', [True, False])
def test_groups_cost_what_their_convolutions_cost_alone(
    groups, kind, stride, needs_input_grad
):
    together = kind(8, 16, 3, stride, 1, groups=groups)
    alone = [
        kind(8 // groups, 16 // groups, 3, stride, 1) for _ in range(groups)
    ]
    expected = count(
        FlopCounterMode(display=False),
        *alone,
        needs_input_grad=needs_input_grad,
    )
    flops = count(flop_counter(), together, needs_input_grad=needs_input_grad)
    assert flops == expected
