# Copyright (c) mmfba authors.
import copy
from dataclasses import dataclass
from typing import Callable, Tuple

from torch import Tensor, nn

from mmfba.local import Chain


@dataclass(frozen=True)
class SRChain(Chain):
    """Chain of a super-resolution network, whose tail reconstructs an image.

    Args:
        scale (int): Upscaling factor.
        out_channels (int): Channels of the image.
        tail_names (tuple[str]): The network's attributes that form its tail.
        tail (Callable): ``tail(net, feature)`` maps a feature at low
            resolution to the residual image at high resolution, with the
            modules ``tail_names`` of ``net``.
        restore (Callable): ``restore(residual, image)`` makes the output
            image of what the tail returns and the low-resolution input.
        restore_reads (tuple[str]): ``('input', )`` if ``restore`` reads the
            input image.
    """

    scale: int = 1
    out_channels: int = 3
    tail_names: Tuple[str, ...] = ()
    tail: Callable[[nn.Module, Tensor], Tensor] = None
    restore: Callable[[Tensor, Tensor], Tensor] = None
    restore_reads: Tuple[str, ...] = ()


def copy_tail(net: nn.Module, chain: SRChain) -> nn.Module:
    """A copy of the tail of ``net`` that ``chain.tail`` can run."""
    tail = nn.Module()
    for name in chain.tail_names:
        setattr(tail, name, copy.deepcopy(getattr(net, name)))
    return tail


def residual_stage(
    in_channels: int,
    out_channels: int,
    make_block: Callable[[int], nn.Module],
    num_blocks: int,
) -> nn.Module:
    """Residual blocks without normalisation, with a conv where widths differ.

    Args:
        in_channels (int): Channels of the input.
        out_channels (int): Channels of the blocks.
        make_block (Callable): Makes a block of a given width.
        num_blocks (int): Number of blocks.

    Returns:
        nn.Module: Maps (N, in_channels, H, W) to (N, out_channels, H, W).
    """
    layers = [make_block(out_channels) for _ in range(num_blocks)]
    if in_channels != out_channels:
        layers.insert(0, nn.Conv2d(in_channels, out_channels, 3, padding=1))
    return nn.Sequential(*layers)
