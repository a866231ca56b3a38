_base_ = [
    '../_base_/models/resnet32_cifar.py',
    '../_base_/datasets/fashion_mnist_32.py',
    '../_base_/schedules/fashion_mnist_2e.py',
    'mmpretrain::_base_/default_runtime.py',
]
model = dict(backbone=dict(in_channels=1))
default_hooks = dict(plain_checkpoint=dict(type='mmfba.PlainCheckpointHook'))
randomness = dict(seed=0)
