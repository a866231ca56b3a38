_base_ = [
    '../_base_/models/resnet32_cifar.py',
    '../_base_/datasets/svhn.py',
    '../_base_/schedules/cifar_400e.py',
    'mmpretrain::_base_/default_runtime.py',
]
model = dict(head=dict(init_cfg=None))  # PyTorch's own, as the literature's
default_hooks = dict(
    plain_checkpoint=dict(type='mmfba.PlainCheckpointHook'),
    checkpoint=dict(max_keep_ckpts=3),
)
