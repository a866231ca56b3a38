# For fine-tuning: the backbone of retinanet_r18-w32-pretrained_*.
_base_ = [
    '../_base_/models/resnet18-w32.py',
    '../_base_/datasets/fashion_mnist_32.py',
    '../_base_/schedules/fashion_mnist_2e.py',
    'mmpretrain::_base_/default_runtime.py',
]
# Grey images become colour ones as three means are taken from them.
data_preprocessor = dict(mean=[72.94] * 3, std=[90.02] * 3)
resize = dict(type='Resize', scale=64)
train_pipeline = [resize, *_base_.train_pipeline[1:]]
test_pipeline = [resize, *_base_.test_pipeline[1:]]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
randomness = dict(seed=0)
