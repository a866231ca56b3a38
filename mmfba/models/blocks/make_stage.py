# Copyright (c) mmfba authors.
from typing import Callable, Dict

from torch import nn

from mmfba.type_name import qualified_name

StageMaker = Callable[[nn.Module, int, int, int, int], nn.Module]


def make_stage(
    network: nn.Module,
    in_channels: int,
    out_channels: int,
    stride: int,
    num_blocks: int,
) -> nn.Module:
    """Fresh blocks for an SLM, of the network's own kind where it is known.

    Known are ResNets (V1b to d, ResNeXt, SE-ResNet, CIFAR), EDSR and
    MSRResNet; other networks get light blocks, of a depthwise and a pointwise
    convolution each.

    Args:
        network (nn.Module): The network.
        in_channels (int): Channels of the input.
        out_channels (int): Channels of the blocks.
        stride (int): Of the first block.
        num_blocks (int): Number of blocks.

    Returns:
        nn.Module: Maps (N, in_channels, H, W) to (N, out_channels, h, w).
    """
    for cls in type(network).__mro__:
        maker = MAKERS.get(qualified_name(cls))
        # A subclass with a forward of its own may have other blocks.
        if maker and type(network).forward is cls.forward:
            return maker(
                network, in_channels, out_channels, stride, num_blocks
            )
    return _light_stage(network, in_channels, out_channels, stride, num_blocks)


def _resnet_stage(
    network: nn.Module,
    in_channels: int,
    out_channels: int,
    stride: int,
    num_blocks: int,
) -> nn.Module:
    """As the backbone makes them: groups, SE ratio, style, norm."""
    if hasattr(network, 'plugins'):  # mmdet
        widths = dict(
            inplanes=in_channels,
            planes=out_channels // network.block.expansion,
        )
    else:
        widths = dict(
            in_channels=in_channels,
            out_channels=out_channels,
            expansion=network.expansion,
        )
    return network.make_res_layer(
        block=network.block,
        num_blocks=num_blocks,
        stride=stride,
        style=network.style,
        avg_down=network.avg_down,
        conv_cfg=network.conv_cfg,
        norm_cfg=network.norm_cfg,
        **widths,
    )


def _edsr_stage(
    network: nn.Module,
    in_channels: int,
    out_channels: int,
    stride: int,
    num_blocks: int,
) -> nn.Module:
    block = network.body[0]

    def make_block(width: int) -> nn.Module:
        return type(block)(width, block.res_scale)

    return _residual_stage(in_channels, out_channels, make_block, num_blocks)


def _msr_resnet_stage(
    network: nn.Module,
    in_channels: int,
    out_channels: int,
    stride: int,
    num_blocks: int,
) -> nn.Module:
    make_block = type(network.trunk_net[0])
    return _residual_stage(in_channels, out_channels, make_block, num_blocks)


def _residual_stage(
    in_channels: int,
    out_channels: int,
    make_block: Callable[[int], nn.Module],
    num_blocks: int,
) -> nn.Module:
    """Blocks without normalisation, with a conv where widths differ."""
    layers = [make_block(out_channels) for _ in range(num_blocks)]
    if in_channels != out_channels:
        layers.insert(0, nn.Conv2d(in_channels, out_channels, 3, padding=1))
    return nn.Sequential(*layers)


def _light_stage(
    network: nn.Module,
    in_channels: int,
    out_channels: int,
    stride: int,
    num_blocks: int,
) -> nn.Module:
    layers = []
    for _ in range(num_blocks):
        layers += [
            nn.Conv2d(
                in_channels,
                in_channels,
                3,
                stride,
                1,
                groups=in_channels,
                bias=False,
            ),
            nn.BatchNorm2d(in_channels),
            nn.Conv2d(in_channels, out_channels, 1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
        ]
        in_channels, stride = out_channels, 1
    return nn.Sequential(*layers)


MAKERS: Dict[str, StageMaker] = {
    'mmdet.ResNet': _resnet_stage,
    'mmpretrain.ResNet': _resnet_stage,
    'mmpretrain.ResNet_CIFAR': _resnet_stage,
    'mmagic.EDSRNet': _edsr_stage,
    'mmagic.MSRResNet': _msr_resnet_stage,
}
"""By the class whose forward the network runs."""
