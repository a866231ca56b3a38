# Narrow: 32 base channels, 128 channels and 2 convs in the head. CPU-sized.
# Group normalisation, as usual where a detector is trained from scratch.
_base_ = [
    '../_base_/models/yolov1_r50.py',
    '../_base_/datasets/digit_scenes.py',
    '../_base_/schedules/digit_scenes_6e.py',
    'mmdet::_base_/default_runtime.py',
]
model = dict(
    backbone=dict(depth=18, base_channels=32, strides=(1, 2, 2, 1)),
    bbox_head=dict(
        num_classes=10,
        in_channels=256,
        grid_size=8,
        stacked_convs=2,
        feat_channels=128,
        norm_cfg=dict(type='GN', num_groups=8),
    ),
)
default_hooks = dict(plain_checkpoint=dict(type='mmfba.PlainCheckpointHook'))
randomness = dict(seed=0)
