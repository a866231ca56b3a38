# Copyright (c) mmfba authors.
import copy
from dataclasses import dataclass
from typing import Callable, Dict, Optional, Tuple

import torch.nn.functional as F
from torch import Tensor, nn

from mmfba.local.probe import probe
from mmfba.type_name import qualified_name


@dataclass(frozen=True)
class ImageTail:
    """How a network reconstructs an image from its last feature.

    It knows modules by name, so that it is that of every copy of the network.

    Args:
        scale (int): Upscaling factor.
        out_channels (int): Channels of the image.
        names (tuple[str]): The network's attributes that form its tail; empty
            where they are not known.
        run (Callable, optional): ``run(modules, feature)`` maps a feature at
            low resolution to the residual image, with the modules ``names``
            as attributes of ``modules``.
        restore (Callable): ``restore(network, residual, image)`` makes the
            output image of what the tail returns and the network's input.
        reads_input (bool): Whether ``restore`` reads the input.
    """

    scale: int
    out_channels: int
    names: Tuple[str, ...]
    run: Optional[Callable[[nn.Module, Tensor], Tensor]]
    restore: Callable[[nn.Module, Tensor, Optional[Tensor]], Tensor]
    reads_input: bool

    def copy_of(self, network: nn.Module) -> nn.Module:
        """A copy of the tail's modules, which ``run`` takes."""
        tail = nn.Module()
        for name in self.names:
            setattr(tail, name, copy.deepcopy(getattr(network, name)))
        return tail


def image_tail(network: nn.Module) -> ImageTail:
    """The tail of a super-resolution network.

    Of EDSR and MSRResNet it can be copied and shared. Of other networks it is
    known that they correct their input, enlarged.

    Args:
        network (nn.Module): The network.

    Returns:
        ImageTail: Its tail.
    """
    for cls in type(network).__mro__:
        maker = TAILS.get(qualified_name(cls))
        if maker and type(network).forward is cls.forward:
            return maker(network)
    return _other_tail(network)


def _edsr_tail(network: nn.Module) -> ImageTail:
    return ImageTail(
        network.upscale_factor,
        network.out_channels,
        ('upsample', 'conv_last'),
        _run_edsr,
        _restore_edsr,
        reads_input=False,
    )


def _run_edsr(modules: nn.Module, feature: Tensor) -> Tensor:
    return modules.conv_last(modules.upsample(feature))


def _restore_edsr(
    network: nn.Module, residual: Tensor, image: Optional[Tensor]
) -> Tensor:
    return residual * network.std.to(residual) + network.mean.to(residual)


def _msr_resnet_tail(network: nn.Module) -> ImageTail:
    names = ('upsample1', 'upsample2', 'conv_hr', 'conv_last', 'lrelu')
    return ImageTail(
        network.upscale_factor,
        network.out_channels,
        tuple(name for name in names if hasattr(network, name)),
        _run_msr_resnet,
        _restore_msr_resnet,
        reads_input=True,
    )


def _run_msr_resnet(modules: nn.Module, feature: Tensor) -> Tensor:
    feature = modules.upsample1(feature)
    if hasattr(modules, 'upsample2'):
        feature = modules.upsample2(feature)
    return modules.conv_last(modules.lrelu(modules.conv_hr(feature)))


def _restore_msr_resnet(
    network: nn.Module, residual: Tensor, image: Optional[Tensor]
) -> Tensor:
    return residual + network.img_upsampler(image)


def _other_tail(network: nn.Module) -> ImageTail:
    seen = probe(network, (64, 48, 128))
    (output,) = seen.outputs
    return ImageTail(
        scale=max(1, round(output.shape[-1] / seen.size[-1])),
        out_channels=output.shape[1],
        names=(),
        run=None,
        restore=_add_input,
        reads_input=True,
    )


def _add_input(
    network: nn.Module, residual: Tensor, image: Optional[Tensor]
) -> Tensor:
    if image.shape[1] != residual.shape[1]:
        return residual
    size = residual.shape[-2:]
    if image.shape[-2:] != size:
        image = F.interpolate(
            image, size, mode='bilinear', align_corners=False
        )
    return residual + image


TAILS: Dict[str, Callable[[nn.Module], ImageTail]] = {
    'mmagic.EDSRNet': _edsr_tail,
    'mmagic.MSRResNet': _msr_resnet_tail,
}
"""By the class whose forward the network runs."""
