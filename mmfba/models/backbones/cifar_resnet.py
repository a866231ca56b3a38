# Copyright (c) mmfba authors.
from mmpretrain.models.backbones import ResNet_CIFAR
from mmpretrain.models.backbones.resnet import BasicBlock

from mmfba.registry import MODELS


@MODELS.register_module()
class CIFARResNet(ResNet_CIFAR):
    """ResNet for 32x32 images, of depth 6n+2.

    Stem of 16 channels, three stages of n basic blocks with 16, 32 and 64
    channels, projection shortcuts (1x1 conv and batch normalisation). This
    is the network of the local-learning literature: ResNet-32 and ResNet-110
    in InfoPro, AugLocal and `FBA <https://arxiv.org/abs/2406.00446>`_.

    Args:
        depth (int): 6n+2: 20, 32, 44, 56, 110, ...
        base_channels (int): Channels of the first stage. Defaults to 16.
        **kwargs: Of :class:`mmpretrain.models.ResNet_CIFAR`.
    """

    def __init__(self, depth: int, base_channels: int = 16, **kwargs) -> None:
        blocks, rest = divmod(depth - 2, 6)
        if rest or blocks < 1:
            raise ValueError(
                f'depth={depth}: a CIFARResNet has depth 6n+2, for example '
                '20, 32, 44, 56 or 110'
            )
        self.arch_settings = {depth: (BasicBlock, (blocks,) * 3)}
        settings = dict(
            num_stages=3,
            strides=(1, 2, 2),
            dilations=(1, 1, 1),
            out_indices=(2,),
            zero_init_residual=False,
        )
        super().__init__(
            depth,
            stem_channels=base_channels,
            base_channels=base_channels,
            **{**settings, **kwargs},
        )
