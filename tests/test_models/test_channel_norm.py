# Copyright (c) mmfba authors.
import torch

from mmfba.models import ChannelNorm


def test_each_pixel_is_normalised_over_its_channels():
    torch.manual_seed(0)
    x = torch.randn(2, 5, 3, 4, dtype=torch.float64, requires_grad=True)
    norm = ChannelNorm(5).double()
    torch.nn.init.normal_(norm.weight)
    torch.nn.init.normal_(norm.bias)
    centered = x - x.mean(1, keepdim=True)
    expected = centered / (centered.square().mean(1, True) + norm.eps).sqrt()
    shape = (5, 1, 1)
    expected = expected * norm.weight.view(shape) + norm.bias.view(shape)
    got = norm(x)
    assert got.is_contiguous()
    leaves, weight = (x, *norm.parameters()), torch.randn_like(got)
    torch.testing.assert_close(
        (got, *torch.autograd.grad(got, leaves, weight)),
        (expected, *torch.autograd.grad(expected, leaves, weight)),
    )
