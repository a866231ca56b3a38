_base_ = [
    '../_base_/models/yolov1_r50.py',
    '../_base_/datasets/coco_448.py',
    '../_base_/schedules/yolov1_90e.py',
    'mmdet::_base_/default_runtime.py',
]
default_hooks = dict(plain_checkpoint=dict(type='mmfba.PlainCheckpointHook'))
