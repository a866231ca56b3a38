# 320x320 pixels: the paper gives no size, its memory suggests about this.
_base_ = 'mmdet::_base_/datasets/coco_detection.py'
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

train_dataloader = dict(
    batch_size=64, num_workers=8, dataset=dict(pipeline=train_pipeline)
)
val_dataloader = dict(batch_size=32, dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
