# Copyright (c) mmfba authors.
import mmdet.models.backbones as mmdet
import pytest
import torch
from small_networks import BACKBONES, SMALL, SUPER_RESOLUTION, make
from torch import nn

from mmfba.models.blocks import stage_maker


@pytest.mark.parametrize('name', BACKBONES)
def test_stage_of_the_backbones_own_kind(name):
    net = make(name)
    before = set(net.parameters())
    stage = stage_maker(net)(8, 32, 2, 2)
    assert stage(torch.rand(2, 8, 10, 12)).shape == (2, 32, 5, 6)
    assert [type(block) for block in stage] == [net.block] * 2
    assert not before.intersection(stage.parameters())
    own = net.layer2[0]
    assert stage[0].conv1.stride == own.conv1.stride
    assert stage[0].conv2.stride == own.conv2.stride
    assert stage[0].conv2.groups == own.conv2.groups
    assert stage[1].downsample is None
    assert [type(m) for m in stage[0].downsample] == [
        type(m) for m in own.downsample
    ]
    if 'SE' in name:
        squeezed = [b.se_layer.conv1.conv for b in (stage[0], own)]
        ratios = [c.in_channels / c.out_channels for c in squeezed]
        assert ratios == [4, 4]


@pytest.mark.parametrize('name', SUPER_RESOLUTION)
@pytest.mark.parametrize('width', [8, 16])
def test_stage_of_super_resolution(name, width):
    net = make(name)
    stage = stage_maker(net)(8, width, 1, 2)
    assert stage(torch.rand(2, 8, 5, 6)).shape == (2, width, 5, 6)
    blocks = stage if width == 8 else stage[1:]
    own = getattr(net, 'body', None) or net.trunk_net
    own = own[0]
    assert [type(b) for b in blocks] == [type(own)] * 2
    assert all(b.res_scale == own.res_scale for b in blocks)
    assert not set(net.parameters()).intersection(stage.parameters())


def test_stage_keeps_the_norm():
    norm = dict(type='GN', num_groups=4, requires_grad=True)
    net = mmdet.ResNet(18, norm_cfg=norm, **SMALL)
    stage = stage_maker(net)(8, 16, 1, 1)
    assert isinstance(stage[0].norm1, nn.GroupNorm)
