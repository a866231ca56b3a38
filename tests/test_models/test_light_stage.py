# Copyright (c) mmfba authors.
import mmpretrain.models.backbones as mmpretrain
import pytest
import torch
from torch import nn

from mmfba.models.blocks import stage_maker


def small_swin():
    arch = dict(embed_dims=8, depths=[1, 1], num_heads=[1, 2])
    return mmpretrain.SwinTransformer(arch, img_size=32, out_indices=(1,))


def without_norm():
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU())


@pytest.mark.parametrize(
    'network, norm',
    [
        (lambda: mmpretrain.MobileNetV2(0.35), nn.BatchNorm2d),
        (small_swin, nn.GroupNorm),
        (without_norm, None),
    ],
)
@pytest.mark.parametrize('stride', [1, 2, 4])
def test_normalised_as_the_network(network, norm, stride):
    stage = stage_maker(network())(8, 16, stride, 2)
    size = (8 // stride, 12 // stride)
    assert stage(torch.rand(2, 8, 8, 12)).shape == (2, 16, *size)
    norms = [type(m) for m in stage.modules() if 'Norm' in type(m).__name__]
    assert norms == ([norm] * 2 if norm else [])


def test_widens_at_the_end():
    # 1280 channels behind 320, as MobileNetV2 ends, in three blocks.
    stage = stage_maker(small_swin())(320, 1280, 2, 3)
    widths = [m.out_channels for m in stage.modules() if hasattr(m, 'groups')]
    assert widths == [320, 640, 640, 640, 640, 1280]


@pytest.mark.parametrize(
    'out_channels, stride, shortcut', [(8, 1, True), (16, 1, False), (8, 2, 0)]
)
def test_a_shortcut_where_the_shape_stays(out_channels, stride, shortcut):
    torch.manual_seed(0)
    (block,) = stage_maker(small_swin())(8, out_channels, stride, 1)
    x = torch.randn(2, 8, 4, 4)
    depthwise, pointwise, norm, relu = block
    expected = relu(norm(pointwise(depthwise(x))))
    if shortcut:
        expected = expected + x
    assert torch.equal(block(x), expected)


def test_without_norm():
    stage = stage_maker(small_swin(), norm=False)(8, 8, 1, 2)
    kinds = [type(layer) for block in stage for layer in block]
    assert kinds == [nn.Conv2d, nn.Conv2d, nn.ReLU] * 2
