# Copyright (c) mmfba authors.
"""A small network of each family of backbones, for exact steps."""

WIDE = dict(
    arch=dict(embed_dims=12, depths=[2, 2, 2, 1], num_heads=[1, 2, 2, 2]),
    pad_small_map=True,
)
VIT = dict(
    arch=dict(
        embed_dims=16, num_layers=5, num_heads=2, feedforward_channels=24
    ),
    img_size=32,
    patch_size=8,
)

# Library, config, pixels; the first dozen also in the fast tests.
FAMILIES = dict(
    resnet=('mmpretrain', dict(type='ResNet', depth=18, base_channels=8), 32),
    swin=(
        'mmpretrain',
        dict(type='SwinTransformer', img_size=64, drop_path_rate=0.2, **WIDE),
        64,
    ),
    convnext=(
        'mmpretrain',
        dict(
            type='ConvNeXt',
            arch=dict(depths=[2, 2, 2, 1], channels=[8, 12, 16, 20]),
            drop_path_rate=0.2,
        ),
        64,
    ),
    vit=(
        'mmpretrain',
        dict(type='VisionTransformer', drop_rate=0.1, **VIT),
        32,
    ),
    beit=(
        'mmpretrain',
        dict(
            type='BEiTViT',
            out_type='avg_featmap',
            use_abs_pos_emb=False,
            use_rel_pos_bias=True,
            use_shared_rel_pos_bias=False,
            **VIT,
        ),
        32,
    ),
    mvit=(
        'mmpretrain',
        dict(
            type='MViT',
            arch=dict(
                embed_dims=8, num_layers=5, num_heads=1, downscale_indices=[2]
            ),
            img_size=64,
        ),
        64,
    ),
    mobilenet_v2=(
        'mmpretrain',
        dict(type='MobileNetV2', widen_factor=0.25),
        64,
    ),
    efficientnet=('mmpretrain', dict(type='EfficientNet', arch='b0'), 64),
    pvt=(
        'mmdet',
        dict(
            type='PyramidVisionTransformerV2',
            embed_dims=8,
            num_layers=[2, 2, 2, 1],
            drop_path_rate=0.1,
        ),
        64,
    ),
    swin_det=(
        'mmdet',
        dict(
            type='SwinTransformer',
            embed_dims=8,
            depths=[2, 2, 2, 1],
            num_heads=[1, 2, 2, 2],
            window_size=4,
            out_indices=(0, 1, 2, 3),
        ),
        64,
    ),
    csp_darknet=(
        'mmdet',
        dict(type='CSPDarknet', deepen_factor=0.34, widen_factor=0.25),
        64,
    ),
    edsr=(
        'mmagic',
        dict(
            type='EDSRNet',
            in_channels=3,
            out_channels=3,
            mid_channels=8,
            num_blocks=5,
            upscale_factor=2,
        ),
        12,
    ),
    swinir=(
        'mmagic',
        dict(
            type='SwinIRNet',
            img_size=16,
            in_chans=3,
            embed_dim=12,
            depths=[2, 2, 2, 2],
            num_heads=[2, 2, 2, 2],
            window_size=8,
            upscale=2,
            img_range=1.0,
            mlp_ratio=2,
            upsampler='pixelshuffledirect',
            resi_connection='1conv',
        ),
        16,
    ),
)
FAST = tuple(FAMILIES)

FAMILIES.update(
    regnet=('mmpretrain', dict(type='RegNet', arch='regnetx_400mf'), 64),
    vgg=(
        'mmpretrain',
        dict(type='VGG', depth=11, norm_cfg=dict(type='BN')),
        64,
    ),
    resnest=('mmpretrain', dict(type='ResNeSt', depth=50), 64),
    densenet=(
        'mmpretrain',
        dict(
            type='DenseNet',
            arch=dict(growth_rate=8, depths=[2, 2, 2, 2], init_channels=8),
        ),
        64,
    ),
    res2net=('mmdet', dict(type='Res2Net', depth=50, base_channels=8), 64),
    resnext=('mmpretrain', dict(type='ResNeXt', depth=50), 64),
    seresnet=('mmpretrain', dict(type='SEResNet', depth=50), 64),
    shufflenet=('mmpretrain', dict(type='ShuffleNetV2'), 64),
    mobilenet_v3=('mmpretrain', dict(type='MobileNetV3', arch='small'), 64),
    mobileone=('mmpretrain', dict(type='MobileOne', arch='s0'), 64),
    repvgg=('mmpretrain', dict(type='RepVGG', arch='A0'), 64),
    cspnet=('mmpretrain', dict(type='CSPResNet', depth=50), 64),
    poolformer=('mmpretrain', dict(type='PoolFormer', arch='s12'), 64),
    van=('mmpretrain', dict(type='VAN', arch='tiny'), 64),
    twins_svt=('mmpretrain', dict(type='SVT', arch='small'), 64),
    twins_pcpvt=('mmpretrain', dict(type='PCPVT', arch='small'), 64),
    efficientformer=(
        'mmpretrain',
        dict(type='EfficientFormer', arch='l1'),
        224,
    ),
    mlp_mixer=('mmpretrain', dict(type='MlpMixer', arch='s', img_size=64), 64),
    swin_v2=(
        'mmpretrain',
        dict(
            type='SwinTransformerV2',
            arch=dict(WIDE['arch'], extra_norm_every_n_blocks=0),
            img_size=64,
            window_size=[4, 4, 4, 2],
            pad_small_map=True,
        ),
        64,
    ),
    darknet=('mmdet', dict(type='Darknet', depth=53), 64),
    cspnext=(
        'mmdet',
        dict(type='CSPNeXt', deepen_factor=0.34, widen_factor=0.25),
        64,
    ),
    ssd_vgg=(
        'mmdet',
        dict(
            type='SSDVGG',
            depth=16,
            with_last_pool=False,
            ceil_mode=True,
            out_indices=(3, 4),
            out_feature_indices=(22, 34),
        ),
        64,
    ),
    rrdb=(
        'mmagic',
        dict(
            type='RRDBNet',
            in_channels=3,
            out_channels=3,
            mid_channels=8,
            num_blocks=5,
            growth_channels=4,
        ),
        12,
    ),
    rdn=(
        'mmagic',
        dict(
            type='RDNNet',
            in_channels=3,
            out_channels=3,
            mid_channels=8,
            num_blocks=5,
            num_layers=3,
            channel_growth=4,
            upscale_factor=2,
        ),
        12,
    ),
    srresnet=(
        'mmagic',
        dict(
            type='MSRResNet',
            in_channels=3,
            out_channels=3,
            mid_channels=8,
            num_blocks=5,
            upscale_factor=2,
        ),
        12,
    ),
    nafnet=(
        'mmagic',
        dict(
            type='NAFNet',
            img_channels=3,
            mid_channels=4,
            enc_blk_nums=[1, 1, 2],
            middle_blk_num=2,
            dec_blk_nums=[1, 1, 1],
        ),
        32,
    ),
    restormer=(
        'mmagic',
        dict(
            type='Restormer',
            inp_channels=3,
            out_channels=3,
            dim=8,
            num_blocks=[2, 2, 2, 2],
            num_refinement_blocks=2,
            heads=[1, 2, 2, 2],
        ),
        32,
    ),
)
