# Copyright (c) mmfba authors.
import pytest
import torch
from torch import nn

from mmfba.models.backbones import CIFARResNet


def test_parameters_of_resnet_32():
    backbone, head = CIFARResNet(32), nn.Linear(64, 10)
    count = sum(
        p.numel() for net in (backbone, head) for p in net.parameters()
    )
    assert count == 466_906
    assert backbone(torch.rand(1, 3, 32, 32))[0].shape == (1, 64, 8, 8)


@pytest.mark.parametrize('depth, blocks', [(8, 1), (20, 3), (110, 18)])
def test_blocks_of_cifar_resnet(depth, blocks):
    net = CIFARResNet(depth, base_channels=2)
    assert [len(getattr(net, n)) for n in net.res_layers] == [blocks] * 3


@pytest.mark.parametrize('depth', [2, 31, 18, 0])
def test_impossible_depth(depth):
    with pytest.raises(ValueError, match=f'depth={depth}: .* 6n.2'):
        CIFARResNet(depth)
