# Copyright (c) mmfba authors.
"""What is known of a feature before any data is seen, and its map."""

import math
from dataclasses import dataclass
from typing import Sequence, Tuple

from torch import Tensor

from .call import Call, tensors_of

INPUT = 'input'
"""Name under which the feature bank holds the network's input image."""


@dataclass(frozen=True)
class FeatureSpec:
    """What is known of a feature before any data is seen.

    Args:
        name (str): Name of the unit that computes it, or ``'input'``.
        stage (int): Stage of that unit.
        channels (int): Number of channels.
        stride (int): Stride in pixels of the input image.
        module (str): Name of the module whose output it is. Defaults to ''.
        tokens (int): Tokens before those of the map, such as a class token;
            -1 where the feature is a map itself. Defaults to -1.
        channels_last (bool): Whether the map is (N, H, W, C). Defaults to
            False.
    """

    name: str
    stage: int
    channels: int
    stride: int
    module: str = ''
    tokens: int = -1
    channels_last: bool = False

    def map_of(self, output: object, images: Tensor) -> Tensor:
        """The feature as a map (N, C, h, w), a view of what the module
        returned.

        Args:
            output (object): What the module returned: a map, or tokens
                (N, L, C), or a tuple that begins with them.
            images (Tensor): Images of the batch, (N, 3, H, W).

        Raises:
            ValueError: If the tokens are those of no map of the images.
        """
        x = next(tensors_of(output))
        if self.channels_last:
            return x.permute(0, 3, 1, 2)
        if x.dim() == 2:
            return x[:, :, None, None]
        if self.tokens < 0:
            return x
        height, width = images.shape[-2:]
        length = x.shape[1] - self.tokens
        for up in (self.stride - 1, 0):  # embeddings pad, or floor
            h = (height + up) // self.stride
            w = (width + up) // self.stride
            if h * w == length:
                x = x[:, self.tokens :].transpose(1, 2)
                return x.reshape(*x.shape[:2], h, w)
        raise ValueError(
            f'The feature {self.name!r} has {length} tokens, which images of '
            f'{height} x {width} pixels at stride {self.stride} do not have'
        )


def spec_of(
    name: str, parts: Sequence[Call], end: Call, size: Tuple[int, int]
) -> FeatureSpec:
    """What a probe with images of a size tells of a feature: ``parts``
    computed it, and ``end`` returned it."""
    shape = end.outputs[0].shape
    channels, height, tokens, last = shape[-1], 1, -1, False
    if len(shape) == 4:
        last = shape[1] == shape[2] != shape[3]
        channels = shape[3] if last else shape[1]
        height = shape[1] if last else shape[2]
    elif len(shape) == 3:
        height, width = _grid(parts, shape[1])
        tokens = shape[1] - height * width
    return FeatureSpec(
        name,
        stage=0,
        channels=channels,
        stride=max(1, round(size[0] / height)),
        module=end.name,
        tokens=tokens,
        channels_last=last,
    )


def _grid(parts: Sequence[Call], length: int) -> Tuple[int, int]:
    """Height and width of a map of tokens, a few of which are none of it."""
    for part in reversed(parts):
        for height, width in reversed(part.grids):
            if 0 <= length - height * width <= 8:
                return height, width
    side = math.isqrt(length)
    return side, side
