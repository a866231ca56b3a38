# Narrow: 32 base channels, 64 channels and 2 convs in the head. CPU-sized.
# Group normalisation, as usual where a detector is trained from scratch.
_base_ = 'mmdet::_base_/models/retinanet_r50_fpn.py'
norm_cfg = dict(type='GN', num_groups=8)
model = dict(
    backbone=dict(
        depth=18,
        base_channels=32,
        init_cfg=None,
        frozen_stages=-1,
        norm_eval=False,
    ),
    neck=dict(
        in_channels=[32, 64, 128, 256], out_channels=64, norm_cfg=norm_cfg
    ),
    bbox_head=dict(
        in_channels=64,
        feat_channels=64,
        stacked_convs=2,
        norm_cfg=norm_cfg,
        loss_cls=dict(type='mmfba.LeanSigmoidFocalLoss'),
    ),
)
