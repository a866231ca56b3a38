# Copyright (c) mmfba authors.
from typing import Sequence, Tuple

import torch.nn.functional as F
from mmengine.model import BaseModule, ModuleList
from torch import Tensor, nn

from mmfba.local import INPUT
from mmfba.local.precision import at_least_float32

from .unit_spec import UnitSpec


class ImageDecoder(BaseModule):
    r"""InfoPro's decoder: how well can the image be told from a feature?

    .. math::
        R(x) = \mathrm{BCE}\big(\sigma(D(x)),\; I\big)

    with the input image I in [0, 1]. Between two convs the map is enlarged
    bilinearly; all but the last conv have batch normalisation and ReLU.

    Args:
        spec (UnitSpec): The cut.
        convs (Sequence[tuple[int, int]]): Channels and kernel size of each
            conv but the last, a 3x3 conv to the image.
        scales (Sequence[int]): For each conv, how many times smaller than
            the image its input is made; 0 leaves it as it is.

    Raises:
        ValueError: If the data preprocessor does not normalise the images.
    """

    def __init__(
        self,
        spec: UnitSpec,
        convs: Sequence[Tuple[int, int]],
        scales: Sequence[int],
    ) -> None:
        super().__init__()
        image_channels = spec.features[INPUT].channels
        for key in ('mean', 'std'):
            # Not saved: the config knows them.
            self.register_buffer(key, _pixels(spec, key), persistent=False)
        self.scales = tuple(scales)
        channels, layers = spec.cut.channels, []
        for width, kernel in convs:
            layers.append(
                nn.Sequential(
                    nn.Conv2d(channels, width, kernel, padding=kernel // 2),
                    nn.BatchNorm2d(width),
                    nn.ReLU(inplace=True),
                )
            )
            channels = width
        layers.append(nn.Conv2d(channels, image_channels, 3, padding=1))
        self.layers = ModuleList(layers)

    def loss(self, x: Tensor, image: Tensor) -> Tensor:
        """Reconstruction loss.

        Args:
            x (Tensor): Feature at the cut, (N, C, h, w).
            image (Tensor): The normalised input image, (N, 3 or 1, H, W).

        Returns:
            Tensor: A scalar.
        """
        for scale, layer in zip(self.scales, self.layers):
            if scale:
                size = [side // scale for side in image.shape[2:]]
                x = F.interpolate(
                    x, size=size, mode='bilinear', align_corners=True
                )
            x = layer(x)
        target = (image * self.std + self.mean) / 255
        # With logits, which is safe in mixed precision.
        return F.binary_cross_entropy_with_logits(at_least_float32(x), target)


def _pixels(spec: UnitSpec, key: str) -> Tensor:
    """The data preprocessor's mean or standard deviation of the pixels."""
    values = getattr(spec.main.data_preprocessor, key, None)
    if values is None:
        raise ValueError(
            f'data_preprocessor.{key}=None: the decoder of '
            "mmfba.InfoProAuxiliary cannot know the image's pixels: set it, "
            'in values from 0 to 255, and normalise nowhere else'
        )
    return values.clone()
