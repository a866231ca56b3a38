_base_ = [
    '../_base_/models/yolov1_r18-w32.py',
    '../_base_/datasets/digit_scenes.py',
    '../_base_/schedules/digit_scenes_6e.py',
    'mmdet::_base_/default_runtime.py',
]
model = dict(bbox_head=dict(num_classes=10, grid_size=8))
default_hooks = dict(plain_checkpoint=dict(type='mmfba.PlainCheckpointHook'))
randomness = dict(seed=0)
