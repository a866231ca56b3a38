_base_ = [
    '../_base_/models/yolov1_r50.py',
    '../_base_/datasets/voc07_448.py',
    '../_base_/schedules/detection_90e.py',
    'mmdet::_base_/default_runtime.py',
]
model = dict(bbox_head=dict(num_classes=20))
optim_wrapper = dict(optimizer=dict(lr=0.02))  # for 32 images
auto_scale_lr = dict(base_batch_size=32)
default_hooks = dict(
    plain_checkpoint=dict(type='mmfba.PlainCheckpointHook'),
    checkpoint=dict(max_keep_ckpts=3),
)
