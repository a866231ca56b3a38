# Copyright (c) mmfba authors.
import torch.nn.functional as F
from torch import Tensor, nn

from mmfba.registry import MODELS


@MODELS.register_module()
class ChannelNorm(nn.LayerNorm):
    """Layer normalisation over the channels of each pixel of a map.

    No other pixel has an influence, nor has what else lies on a canvas.

    Args:
        num_channels (int): C.
        eps (float): Added to the variance. Defaults to 1e-5.
    """

    def __init__(self, num_channels: int, eps: float = 1e-5) -> None:
        super().__init__(num_channels, eps)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise a map (N, C, H, W)."""
        x = x.permute(0, 2, 3, 1)
        x = F.layer_norm(
            x, self.normalized_shape, self.weight, self.bias, self.eps
        )
        return x.permute(0, 3, 1, 2).contiguous()
