_base_ = [
    '../_base_/models/faster-rcnn_r18-w32_fpn.py',
    '../_base_/datasets/digit_scenes.py',
    '../_base_/schedules/digit_scenes_6e.py',
    'mmdet::_base_/default_runtime.py',
]
model = dict(
    rpn_head=dict(anchor_generator=dict(scales=[4], ratios=[1.5])),
    roi_head=dict(bbox_head=dict(num_classes=10)),
)
default_hooks = dict(plain_checkpoint=dict(type='mmfba.PlainCheckpointHook'))
randomness = dict(seed=0)
