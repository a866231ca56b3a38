# VOC2007, trained on trainval and tested on test: 9,963 images together.
# 320x320 pixels: the paper gives no size, its memory on COCO suggests this.
_base_ = 'mmdet::_base_/datasets/voc0712.py'
resize = dict(type='Resize', scale=(320, 320), keep_ratio=False)
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
    batch_size=64,
    num_workers=8,
    dataset=dict(times=1, dataset=dict(datasets=voc0712[:1])),
)
val_dataloader = dict(batch_size=32, dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(type='mmfba.ClasswiseVOCMetric')
test_evaluator = val_evaluator
