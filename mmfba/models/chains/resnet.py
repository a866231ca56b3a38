# Copyright (c) mmfba authors.
from functools import partial
from typing import Tuple

from torch import Tensor, nn

from mmfba.local import Chain, Unit

from ..blocks import stage_maker
from .builder import register_chain
from .residual import residual_parts


@register_chain('mmdet.ResNet', 'mmpretrain.ResNet')
def resnet_chain(backbone: nn.Module) -> Chain:
    """Chain of ResNet, ResNetV1b to d, ResNeXt and SE-ResNet.

    Units: the stem with its max pooling, then the residual blocks
    ``layer<stage>.<block>``.

    Args:
        backbone (nn.Module): The backbone, of mmdet or mmpretrain.

    Returns:
        Chain: Its units; the outputs are the ends of ``out_indices``.
    """
    if backbone.deep_stem:
        stem = (backbone.stem, backbone.maxpool)
    else:
        stem = (*_plain_stem(backbone), backbone.maxpool)
    return _chain(backbone, stem)


@register_chain('mmpretrain.ResNet_CIFAR')
def cifar_resnet_chain(backbone: nn.Module) -> Chain:
    """Chain of a ResNet for 32x32 images: a stem without pooling.

    Args:
        backbone (nn.Module): mmpretrain's ``ResNet_CIFAR`` or
            ``mmfba.CIFARResNet``.

    Returns:
        Chain: See :func:`resnet_chain`.
    """
    return _chain(backbone, _plain_stem(backbone))


def _plain_stem(backbone: nn.Module) -> Tuple[nn.Module, ...]:
    return (backbone.conv1, backbone.norm1, backbone.relu)


def _chain(backbone: nn.Module, stem: Tuple[nn.Module, ...]) -> Chain:
    units, ends = [Unit('stem', 0, partial(_sequential, stem), stem)], []
    for stage, layer in enumerate(backbone.res_layers, start=1):
        for i, block in enumerate(getattr(backbone, layer)):
            name, parts = f'{layer}.{i}', residual_parts(block)
            units.append(Unit(name, stage, block, (block,), residual=parts))
        ends.append(units[-1].name)
    outputs = tuple(ends[i] for i in sorted(backbone.out_indices))
    return Chain(
        tuple(units),
        outputs,
        lambda features: tuple(features[name] for name in outputs),
        stage_maker(backbone),
    )


def _sequential(modules: Tuple[nn.Module, ...], x: Tensor) -> Tensor:
    for module in modules:
        x = module(x)
    return x
