# Copyright (c) mmfba authors.
"""Small networks of the families whose blocks are known."""

import copy
from functools import lru_cache, partial

import mmdet.models.backbones as mmdet
import mmpretrain.models.backbones as mmpretrain
import torch

from mmfba.models.backbones import CIFARResNet

# Small, with statistics that move and branches that do not start at zero.
SMALL = dict(base_channels=8, norm_eval=False, zero_init_residual=False)
TWO_STAGES = dict(
    num_stages=2, strides=(1, 2), dilations=(1, 1), out_indices=(1,), **SMALL
)
STEM = dict(stem_channels=8)  # of mmpretrain
BACKBONES = {
    'mmdet ResNet-18': partial(mmdet.ResNet, 18, **SMALL),
    'mmdet ResNet-50': partial(mmdet.ResNet, 50, **SMALL),
    'mmdet ResNet-50 caffe': partial(
        mmdet.ResNet, 50, style='caffe', **TWO_STAGES
    ),
    'mmdet ResNetV1d-50': partial(mmdet.ResNetV1d, depth=50, **TWO_STAGES),
    'mmdet ResNeXt-50': partial(
        mmdet.ResNeXt, depth=50, groups=2, base_width=4, **TWO_STAGES
    ),
    'mmpretrain ResNet-18': partial(mmpretrain.ResNet, 18, **STEM, **SMALL),
    'mmpretrain ResNet-18 drop path': partial(
        mmpretrain.ResNet,
        18,
        drop_path_rate=0.3,
        out_indices=(0, 2, 3),
        **STEM,
        **SMALL,
    ),
    'mmpretrain ResNetV1c-50': partial(
        mmpretrain.ResNetV1c, depth=50, **STEM, **TWO_STAGES
    ),
    'mmpretrain ResNetV1d-50': partial(
        mmpretrain.ResNetV1d, depth=50, **STEM, **TWO_STAGES
    ),
    'mmpretrain ResNeXt-50': partial(
        mmpretrain.ResNeXt,
        50,
        groups=2,
        width_per_group=4,
        **STEM,
        **TWO_STAGES,
    ),
    'mmpretrain SEResNet-50': partial(
        mmpretrain.SEResNet, 50, se_ratio=4, **STEM, **TWO_STAGES
    ),
    'mmpretrain ResNet_CIFAR-18': partial(
        mmpretrain.ResNet_CIFAR, 18, **STEM, **SMALL
    ),
    'CIFARResNet-20': partial(CIFARResNet, 20, base_channels=8),
}


def editor(name, *args, **kwargs):
    from mmagic.models import editors

    return getattr(editors, name)(*args, **kwargs)


SUPER_RESOLUTION = {
    f'{name} x{scale}': partial(
        editor,
        net,
        3,
        3,
        mid_channels=8,
        num_blocks=5,
        upscale_factor=scale,
        **kwargs,
    )
    for name, net, scale, kwargs in [
        ('EDSR', 'EDSRNet', 2, dict(res_scale=0.1, rgb_std=[0.5, 1, 2])),
        ('EDSR', 'EDSRNet', 3, {}),
        ('EDSR', 'EDSRNet', 4, {}),
        ('MSRResNet', 'MSRResNet', 2, {}),
        ('MSRResNet', 'MSRResNet', 3, {}),
        ('MSRResNet', 'MSRResNet', 4, {}),
    ]
}
NETWORKS = {**BACKBONES, **SUPER_RESOLUTION}


@lru_cache(None)
def initialized(name):
    torch.manual_seed(0)
    net = NETWORKS[name]()
    net.init_weights()
    return net


def make(name):
    net = copy.deepcopy(initialized(name))
    net.train()
    return net


def images(name):
    size = (6, 9) if name in SUPER_RESOLUTION else (32, 64)
    rng = torch.Generator().manual_seed(1)
    return torch.rand(2, 3, *size, generator=rng)
