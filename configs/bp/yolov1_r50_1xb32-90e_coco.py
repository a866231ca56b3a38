_base_ = [
    '../_base_/models/yolov1_r50.py',
    'mmdet::_base_/datasets/coco_detection.py',
    '../_base_/schedules/yolov1_90e.py',
    'mmdet::_base_/default_runtime.py',
]
resize = dict(type='Resize', scale=(448, 448), keep_ratio=False)
train_pipeline = [
    *_base_.train_pipeline[:2],
    resize,
    *_base_.train_pipeline[3:],
]
test_pipeline = [
    *_base_.test_pipeline[:1],
    resize,
    *_base_.test_pipeline[2:],
]
train_dataloader = dict(batch_size=32, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(batch_size=32, dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
default_hooks = dict(plain_checkpoint=dict(type='mmfba.PlainCheckpointHook'))
