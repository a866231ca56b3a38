# Copyright (c) mmfba authors.
import pytest
import torch
import torch.nn.functional as F
from mmdet.models.necks import FPN
from mmpretrain.registry import MODELS as CLASSIFIERS
from strided_features import STRIDES, make_maps, make_spec

from mmfba.models.auxiliary import LocalFPN

TO_64 = (4, 8, 16, 32, 64)


@pytest.mark.parametrize(
    'cut, readable, levels, strides',
    [
        ('c', ['a1', 'b1'], ['a1', 'b1', 'c'], TO_64),
        ('d', ['a1', 'b1', 'c'], ['a1', 'b1', 'c', 'd'], TO_64),
        # The latest of each stride, in whatever order they are tapped.
        ('c', ['b1', 'b0', 'a0'], ['a0', 'b1', 'c'], TO_64),
        # The cut stands for its stride.
        ('b0', ['a0', 'a1', 'b1'], ['a1', 'b0'], TO_64),
        # Neither vectors nor what is before stride 4.
        ('b0', ['input', 'stem', 'a1.pooled'], ['b0'], TO_64[1:]),
        # In two passes the bank holds later maps, too.
        ('b0', ['a1', 'c', 'd'], ['a1', 'b0', 'c', 'd'], TO_64),
        # Nothing beyond a gap.
        ('c', ['a1'], ['c'], TO_64[2:]),
        ('a0', ['c', 'd'], ['a0'], TO_64),
        # A cut before stride 4 is averaged, and its level is not another's.
        ('stem', ['a1'], ['stem'], TO_64),
        ('stem', ['b1'], ['stem', 'b1'], TO_64),
        ('input', [], ['input'], TO_64),
    ],
)
def test_levels(cut, readable, levels, strides):
    neck = LocalFPN(make_spec(cut, readable))
    assert [level.name for level in neck.levels] == levels
    assert neck.reads == tuple(name for name in levels if name != cut)
    assert neck.strides == strides


@pytest.mark.parametrize(
    'stride, strides',
    [(16, (16, 32, 64)), (14, (14, 28, 56)), (64, (64,)), (128, (128,))],
)
def test_levels_of_backbones_of_one_stride(stride, strides):
    spec = make_spec('block1', ['block0'], dict(block0=stride, block1=stride))
    neck = LocalFPN(spec)
    assert neck.strides == strides and neck.reads == ()


@pytest.mark.parametrize('cut', STRIDES)
@pytest.mark.parametrize('size', [(128, 128), (72, 120), (33, 50)])
def test_maps_have_their_strides(cut, size):
    spec = make_spec(cut, STRIDES)
    neck = LocalFPN(spec, out_channels=8).double()
    maps, bank = make_maps(spec, size)
    pyramid = neck(maps[cut], bank)
    assert neck.out_channels == 8
    assert [tuple(level.shape) for level in pyramid] == [
        (2, 8, *(-(-side // stride) for side in size))
        for stride in neck.strides
    ]


def test_pyramid_is_that_of_the_equation():
    spec = make_spec('c', ['b1'])
    neck = LocalFPN(spec).double()
    maps, bank = make_maps(spec, (72, 120))
    (lateral8, lateral16), (p8, p16, p32, p64) = (
        [(conv.conv.weight, conv.conv.bias) for conv in convs]
        for convs in (neck.fpn.lateral_convs, neck.fpn.fpn_convs)
    )
    top = F.conv2d(maps['c'], *lateral16)
    below = F.conv2d(maps['b1'], *lateral8)
    below = below + F.interpolate(top, below.shape[2:], mode='nearest')
    expected = [
        F.conv2d(below, *p8, padding=1),
        F.conv2d(top, *p16, padding=1),
    ]
    for conv in (p32, p64):
        expected.append(F.conv2d(expected[-1], *conv, stride=2, padding=1))
    pyramid = neck(maps['c'], bank)
    torch.testing.assert_close(pyramid, tuple(expected))
    # The levels that convs make send a gradient to the cut, too.
    (grad,) = torch.autograd.grad(pyramid[-1].sum(), maps['c'])
    assert grad.abs().sum() > 0


def test_a_cut_before_stride_4_is_averaged():
    spec = make_spec('stem')
    neck = LocalFPN(spec)
    maps, bank = make_maps(spec, (64, 44))
    (got,) = neck.collect(maps['stem'], bank)
    pairs = maps['stem'].unflatten(3, (11, 2)).unflatten(2, (16, 2))
    torch.testing.assert_close(got, pairs.mean(dim=(3, 5)))


def test_gradient_reaches_the_cut_and_not_the_bank():
    spec = make_spec('c', ['a1', 'b1'])
    neck = LocalFPN(spec).double()
    maps, bank = make_maps(spec, (64, 64))
    sum(level.sum() for level in neck(maps['c'], bank)).backward()
    assert maps['c'].grad.abs().sum() > 0
    assert maps['a1'].grad is None and maps['b1'].grad is None
    # What is read of the bank is trained on all the same.
    assert all(p.grad is not None for p in neck.parameters())


def test_some_images_at_a_time_are_the_same():
    spec = make_spec('c', ['a1', 'b1'])
    neck = LocalFPN(spec).double()
    neck.check_image_wise()
    maps, bank = make_maps(spec, (64, 64), num_images=3)
    whole = neck(maps['c'], bank)
    features = neck.collect(maps['c'], bank)
    for rows in (slice(0, 1), slice(1, 3)):
        part = neck.finish(tuple(f[rows] for f in features))
        torch.testing.assert_close(part, tuple(f[rows] for f in whole))


def test_it_is_a_slim_fpn_of_mmdet():
    neck = LocalFPN(make_spec('c'))
    assert type(neck.fpn) is FPN and neck.out_channels == 32


@pytest.mark.parametrize('registry', [None, CLASSIFIERS])
def test_other_tasks_are_refused(registry):
    with pytest.raises(ValueError, match='LocalFPN is for detectors'):
        LocalFPN(make_spec('c', registry=registry))
