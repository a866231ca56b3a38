_base_ = [
    '../_base_/models/swin-w32.py',
    '../_base_/datasets/fashion_mnist_32.py',
    '../_base_/schedules/fashion_mnist_2e.py',
    'mmpretrain::_base_/default_runtime.py',
]
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='AdamW', lr=2e-3, weight_decay=0.05)
)
default_hooks = dict(plain_checkpoint=dict(type='mmfba.PlainCheckpointHook'))
randomness = dict(seed=0)
