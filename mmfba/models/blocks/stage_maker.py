# Copyright (c) mmfba authors.
from functools import partial
from typing import Callable, Optional

from torch import nn

from mmfba.type_name import definer

from .light_stage import light_stage, norm_like

StageMaker = Callable[..., nn.Module]


def stage_maker(network: nn.Module, norm: bool = True) -> StageMaker:
    """How the simplified blocks of an SLM are made for a backbone or
    generator.

    Args:
        network (nn.Module): The backbone or generator.
        norm (bool): Whether light blocks are normalised as the network is.
            Defaults to True.

    Returns:
        Callable: ``make_stage(in_channels, out_channels, stride,
        num_blocks)`` builds fresh blocks: of the network's own kind for
        ResNets, EDSR and MSRResNet, light ones for all others.
    """
    maker = _own_maker(network)
    if maker is None:
        return partial(light_stage, norm_like(network) if norm else None)
    return partial(maker, network)


def makes_own_blocks(network: nn.Module) -> bool:
    """Whether the blocks of an SLM are of a network's own kind."""
    return _own_maker(network) is not None


def _own_maker(network: nn.Module) -> Optional[StageMaker]:
    return MAKERS.get(definer(network, 'forward'))


def _resnet_stage(
    backbone: nn.Module,
    in_channels: int,
    out_channels: int,
    stride: int,
    num_blocks: int,
) -> nn.Module:
    """Blocks as a ResNet makes them: groups, SE ratio, style, norm."""
    if hasattr(backbone, 'plugins'):  # mmdet
        widths = dict(
            inplanes=in_channels,
            planes=out_channels // backbone.block.expansion,
        )
    else:
        widths = dict(
            in_channels=in_channels,
            out_channels=out_channels,
            expansion=backbone.expansion,
        )
    return backbone.make_res_layer(
        block=backbone.block,
        num_blocks=num_blocks,
        stride=stride,
        style=backbone.style,
        avg_down=backbone.avg_down,
        conv_cfg=backbone.conv_cfg,
        norm_cfg=backbone.norm_cfg,
        **widths,
    )


def _edsr_block(net: nn.Module, width: int) -> nn.Module:
    return type(net.body[0])(width, net.body[0].res_scale)


def _msr_resnet_block(net: nn.Module, width: int) -> nn.Module:
    return type(net.trunk_net[0])(width)


def _stage_without_norm(
    make_block: Callable[[nn.Module, int], nn.Module],
    net: nn.Module,
    in_channels: int,
    out_channels: int,
    stride: int,
    num_blocks: int,
) -> nn.Module:
    """Blocks of super-resolution, with a conv where widths differ."""
    layers = [make_block(net, out_channels) for _ in range(num_blocks)]
    if in_channels != out_channels:
        layers.insert(0, nn.Conv2d(in_channels, out_channels, 3, padding=1))
    return nn.Sequential(*layers)


MAKERS = {
    'mmdet.ResNet': _resnet_stage,
    'mmpretrain.ResNet': _resnet_stage,
    'mmpretrain.ResNet_CIFAR': _resnet_stage,
    'mmagic.EDSRNet': partial(_stage_without_norm, _edsr_block),
    'mmagic.MSRResNet': partial(_stage_without_norm, _msr_resnet_block),
}
