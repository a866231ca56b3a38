_base_ = [
    '../_base_/models/retinanet_r50_fpn.py',
    '../_base_/datasets/voc07_320.py',
    '../_base_/schedules/detection_90e.py',
    'mmdet::_base_/default_runtime.py',
]
model = dict(bbox_head=dict(num_classes=20))
default_hooks = dict(
    plain_checkpoint=dict(type='mmfba.PlainCheckpointHook'),
    checkpoint=dict(max_keep_ckpts=3),
)
