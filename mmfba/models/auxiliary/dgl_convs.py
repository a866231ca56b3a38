# Copyright (c) mmfba authors.
from torch import nn


def dgl_convs(
    in_channels: int, width: int, batch_norm: bool = True
) -> nn.Sequential:
    """The three 1x1 convs of DGL's auxiliary network, each with ReLU.

    Args:
        in_channels (int): Channels of the input.
        width (int): Channels of the convs.
        batch_norm (bool): Whether batch normalisation follows each conv,
            which then has no bias. Defaults to True.

    Returns:
        nn.Sequential: Keeps the size of the map.
    """
    layers = []
    for i in range(3):
        channels = width if i else in_channels
        layers.append(nn.Conv2d(channels, width, 1, bias=not batch_norm))
        if batch_norm:
            layers.append(nn.BatchNorm2d(width))
        layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers)
