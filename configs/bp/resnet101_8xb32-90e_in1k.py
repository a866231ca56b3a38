_base_ = [
    'mmpretrain::_base_/models/resnet101.py',
    'mmpretrain::_base_/datasets/imagenet_bs32.py',
    '../_base_/schedules/imagenet_90e.py',
    'mmpretrain::_base_/default_runtime.py',
]
default_hooks = dict(
    plain_checkpoint=dict(type='mmfba.PlainCheckpointHook'),
    checkpoint=dict(max_keep_ckpts=3),
)
