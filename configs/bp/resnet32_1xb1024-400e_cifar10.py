_base_ = [
    '../_base_/models/resnet32_cifar.py',
    'mmpretrain::_base_/datasets/cifar10_bs16.py',
    '../_base_/schedules/cifar_400e.py',
    'mmpretrain::_base_/default_runtime.py',
]
train_dataloader = dict(batch_size=1024)
val_dataloader = dict(batch_size=1024)
test_dataloader = dict(batch_size=1024)
default_hooks = dict(plain_checkpoint=dict(type='mmfba.PlainCheckpointHook'))
