# Narrow: 32 base channels, 128 channels and 2 convs in the head. CPU-sized.
# Group normalisation, as usual where a detector is trained from scratch.
_base_ = './yolov1_r50.py'
model = dict(
    backbone=dict(depth=18, base_channels=32, strides=(1, 2, 2, 1)),
    bbox_head=dict(
        in_channels=256,
        stacked_convs=2,
        feat_channels=128,
        norm_cfg=dict(type='GN', num_groups=8),
    ),
)
