# Copyright (c) mmfba authors.
from dataclasses import dataclass
from typing import Callable, Optional, Tuple

import torch.nn.functional as F
from torch import Tensor, nn

from mmfba.type_name import definer


@dataclass(frozen=True)
class ImageTail:
    """How a network restores an image of a feature at low resolution.

    Args:
        scale (int): Upscaling factor.
        out_channels (int): Channels of the image.
        restore (Callable): ``restore(net, residual, image)`` makes the output
            image of the residual image at high resolution and the input.
        reads_input (bool): Whether ``restore`` reads the input.
        names (tuple[str]): The network's attributes that form its tail.
            Defaults to (), it is not known.
        run (Callable, optional): ``run(net, feature)`` maps the feature to
            the residual image, with the modules ``names`` of ``net``.
            Defaults to None.
    """

    scale: int
    out_channels: int
    restore: Callable[[nn.Module, Tensor, Optional[Tensor]], Tensor]
    reads_input: bool
    names: Tuple[str, ...] = ()
    run: Optional[Callable[[nn.Module, Tensor], Tensor]] = None


def image_tail(
    net: nn.Module, scale: int, out_channels: int, adds_input: bool = False
) -> ImageTail:
    """The tail of a generator.

    Args:
        net (nn.Module): The generator.
        scale (int): Upscaling factor.
        out_channels (int): Channels of the image.
        adds_input (bool): Whether the network adds its input to what it
            predicts. Where the family is not known, so does the tail; it is
            without ``names`` and ``run`` then. Features that were trained
            beside the input would tell the last module little of the image.
    """
    name = definer(net, 'forward')
    if name == 'mmagic.EDSRNet':
        return ImageTail(
            scale,
            out_channels,
            _denormalise,
            reads_input=False,
            names=('upsample', 'conv_last'),
            run=lambda net, x: net.conv_last(net.upsample(x)),
        )
    if name == 'mmagic.MSRResNet':
        names = ('upsample1', 'upsample2', 'conv_hr', 'conv_last')
        return ImageTail(
            scale,
            out_channels,
            _add_enlarged,
            reads_input=True,
            names=tuple(n for n in names if hasattr(net, n)),
            run=_msr_resnet_tail,
        )
    restore = _add_resized if adds_input else _leave
    return ImageTail(scale, out_channels, restore, reads_input=adds_input)


def _leave(
    net: nn.Module, residual: Tensor, image: Optional[Tensor]
) -> Tensor:
    return residual


def _add_resized(net: nn.Module, residual: Tensor, image: Tensor) -> Tensor:
    return residual + F.interpolate(image, residual.shape[2:])


def _denormalise(
    net: nn.Module, residual: Tensor, image: Optional[Tensor]
) -> Tensor:
    return residual * net.std.to(residual) + net.mean.to(residual)


def _add_enlarged(net: nn.Module, residual: Tensor, image: Tensor) -> Tensor:
    return residual + net.img_upsampler(image)


def _msr_resnet_tail(net: nn.Module, x: Tensor) -> Tensor:
    for name in ('upsample1', 'upsample2'):
        if hasattr(net, name):
            x = getattr(net, name)(x)
    # The activation has no weights; a copied tail has none of its own.
    return net.conv_last(F.leaky_relu(net.conv_hr(x), 0.1))
