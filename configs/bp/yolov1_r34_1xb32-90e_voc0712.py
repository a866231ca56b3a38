_base_ = [
    '../_base_/models/yolov1_r50.py',
    '../_base_/datasets/voc0712_448.py',
    '../_base_/schedules/yolov1_90e.py',
    'mmdet::_base_/default_runtime.py',
]
model = dict(
    backbone=dict(depth=34), bbox_head=dict(num_classes=20, in_channels=512)
)
default_hooks = dict(plain_checkpoint=dict(type='mmfba.PlainCheckpointHook'))
