# VOC2007, trained on trainval and tested on test: 9,963 images together.
# 448x448 pixels, as YOLOv1.
_base_ = 'mmdet::_base_/datasets/voc0712.py'
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

# Leaves for 07+12 take both.
voc0712 = [
    dict(year, pipeline=train_pipeline)
    for year in _base_.train_dataloader.dataset.dataset.datasets
]
train_dataloader = dict(
    batch_size=32,
    num_workers=8,
    dataset=dict(times=1, dataset=dict(datasets=voc0712[:1])),
)
val_dataloader = dict(batch_size=32, dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(type='mmfba.ClasswiseVOCMetric')
test_evaluator = val_evaluator
