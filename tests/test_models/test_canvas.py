# Copyright (c) mmfba authors.
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mmfba.models.canvas import Canvas

SIZES = [
    ((13, 21), (7, 11), (4, 6), (2, 3), (1, 2)),
    ((5, 2), (3, 1), (2, 1), (1, 1)),  # what is below is the wider
    ((4, 6),),
]


def maps(sizes, channels=3):
    rng = torch.Generator().manual_seed(0)
    return [
        torch.randn(
            2, channels, *size, generator=rng, dtype=torch.float64
        ).requires_grad_()
        for size in sizes
    ]


@pytest.mark.parametrize('sizes', SIZES)
def test_convs_see_each_map_alone(sizes):
    """Values and gradients of two convs with biases and ReLUs."""
    torch.manual_seed(0)
    convs = [nn.Conv2d(3, 3, 3, padding=1).double() for _ in range(3)]
    canvas, features = Canvas(sizes), maps(sizes)
    x = canvas.pack(features)
    assert x.shape[2:] == canvas.shape
    expected = list(features)
    for conv in convs[:2]:
        x = canvas.relu(conv(x))
        expected = [F.relu(conv(f)) for f in expected]
    expected = [convs[2](f) for f in expected]
    got = canvas.views(convs[2](x))
    weights = [p for conv in convs for p in conv.parameters()]
    grads = []
    for outputs in (got, expected):
        total = sum((out**2).sum() for out in outputs)
        grads.append(torch.autograd.grad(total, [*features, *weights]))
    for mine, theirs in zip((*got, *grads[0]), (*expected, *grads[1])):
        assert torch.allclose(mine, theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize('sizes', SIZES)
def test_order_of_anchors(sizes):
    """As mmdet lays anchors out: by level, pixel and then anchor."""
    canvas, device = Canvas(sizes), torch.device('cpu')
    number, start = 2, 0
    order = canvas.order(number, device).view(number, 1, *canvas.shape)
    for view in canvas.views(order):
        rows, columns = view.shape[2:]
        flat = torch.arange(start, start + rows * columns * number)
        expected = flat.view(rows, columns, number).permute(2, 0, 1)
        assert torch.equal(view[:, 0], expected)
        start += flat.numel()
    mask = canvas.mask(torch.float32, device)
    assert mask.sum() * number == start


def test_nearly_no_room_is_lost():
    """P3 to P7 of an image of 800x1344."""
    sizes = ((100, 168), (50, 84), (25, 42), (13, 21), (7, 11))
    height, width = Canvas(sizes).shape
    assert height * width < 1.14 * sum(h * w for h, w in sizes)


@pytest.mark.parametrize('sizes', SIZES)
def test_each_place_knows_its_map(sizes):
    canvas = Canvas(sizes)
    levels = canvas.levels(torch.float64, torch.device('cpu'))
    assert levels.shape == (len(sizes), *canvas.shape)
    assert levels.sum() == sum(height * width for height, width in sizes)
    for level, view in enumerate(canvas.views(levels[None])):
        assert view.shape[2:] == sizes[level] and (view[:, level] == 1).all()
