_base_ = [
    '../_base_/models/resnet32_cifar.py',
    '../_base_/datasets/stl10.py',
    '../_base_/schedules/cifar_400e.py',
    'mmpretrain::_base_/default_runtime.py',
]
optim_wrapper = dict(optimizer=dict(lr=0.1))
# From 0.01 on, as with the other data sets.
warm_up, cosine = _base_.param_scheduler
param_scheduler = [dict(warm_up, start_factor=0.1), cosine]
auto_scale_lr = dict(base_batch_size=128)
model = dict(head=dict(init_cfg=None))  # PyTorch's own, as the literature's
default_hooks = dict(
    plain_checkpoint=dict(type='mmfba.PlainCheckpointHook'),
    checkpoint=dict(max_keep_ckpts=3),
)
