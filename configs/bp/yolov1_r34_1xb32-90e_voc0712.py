_base_ = [
    '../_base_/models/yolov1_r50.py',
    'mmdet::_base_/datasets/voc0712.py',
    '../_base_/schedules/yolov1_90e.py',
    'mmdet::_base_/default_runtime.py',
]
model = dict(
    backbone=dict(depth=34), bbox_head=dict(num_classes=20, in_channels=512)
)
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
years = _base_.train_dataloader.dataset.dataset.datasets
train_dataloader = dict(
    batch_size=32,
    dataset=dict(
        times=1,
        dataset=dict(
            datasets=[dict(year, pipeline=train_pipeline) for year in years]
        ),
    ),
)
val_dataloader = dict(batch_size=32, dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(type='mmfba.ClasswiseVOCMetric')
test_evaluator = val_evaluator
default_hooks = dict(plain_checkpoint=dict(type='mmfba.PlainCheckpointHook'))
