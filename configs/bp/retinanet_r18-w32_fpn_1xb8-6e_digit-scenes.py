_base_ = [
    '../_base_/models/retinanet_r18-w32_fpn.py',
    '../_base_/datasets/digit_scenes.py',
    '../_base_/schedules/digit_scenes_6e.py',
    'mmdet::_base_/default_runtime.py',
]
model = dict(
    bbox_head=dict(
        num_classes=10,
        anchor_generator=dict(  # from 16 pixels on, upright as digits are
            octave_base_scale=2, ratios=[1.5]
        ),
    )
)
default_hooks = dict(plain_checkpoint=dict(type='mmfba.PlainCheckpointHook'))
randomness = dict(seed=0)
