# Copyright (c) mmfba authors.
from functools import partial
from typing import Callable, Optional

from torch import Tensor, nn

from mmfba.local.statistics import is_batch_norm

Norm = Callable[[int], nn.Module]
"""Makes the norm of so many channels."""


def norm_like(network: nn.Module) -> Optional[Norm]:
    """How light blocks are normalised where a network is: over the batch or
    over each image; None where it is not."""
    if any(is_batch_norm(module) for module in network.modules()):
        return nn.BatchNorm2d
    kinds = {type(module) for module in network.modules()}
    if any(issubclass(k, (nn.LayerNorm, nn.GroupNorm)) for k in kinds):
        return partial(nn.GroupNorm, 1)
    return None


def light_stage(
    norm: Optional[Norm],
    in_channels: int,
    out_channels: int,
    stride: int,
    num_blocks: int,
) -> nn.Module:
    """Light blocks; all but the last are at most twice as wide as the input,
    since a network may widen at its end (1280 channels in MobileNetV2)."""
    inner = min(out_channels, 2 * in_channels)
    widths = [inner] * (num_blocks - 1) + [out_channels]
    blocks = []
    for width in widths:
        blocks.append(LightBlock(norm, in_channels, width, stride))
        in_channels, stride = width, 1
    return nn.Sequential(*blocks)


class LightBlock(nn.Sequential):
    """A depthwise and a pointwise conv, with a shortcut where the output has
    the shape of the input.

    Args:
        norm (Norm, optional): The norm behind the convs.
        in_channels (int): Channels of the input (N, C, H, W).
        out_channels (int): Channels of the output.
        stride (int): Stride of the depthwise conv.
    """

    def __init__(
        self,
        norm: Optional[Norm],
        in_channels: int,
        out_channels: int,
        stride: int,
    ) -> None:
        kernel = stride + 1 + stride % 2
        layers = [
            nn.Conv2d(
                in_channels,
                in_channels,
                kernel,
                stride,
                kernel // 2,
                groups=in_channels,
                bias=False,
            ),
            nn.Conv2d(in_channels, out_channels, 1, bias=norm is None),
        ]
        if norm is not None:
            layers.append(norm(out_channels))
        super().__init__(*layers, nn.ReLU(inplace=True))
        self.shortcut = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        out = super().forward(x)
        return x + out if self.shortcut else out
