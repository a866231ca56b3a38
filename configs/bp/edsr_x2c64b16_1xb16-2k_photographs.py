# Short: 2,000 iterations with a higher lr, instead of 300,000.
_base_ = '../_base_/datasets/photographs.py'
experiment_name = 'edsr_x2c64b16_1xb16-2k_photographs'
work_dir = f'./work_dirs/{experiment_name}'
train_cfg = dict(max_iters=2000, val_interval=1000)
optim_wrapper = dict(optimizer=dict(lr=1e-3))
param_scheduler = dict(
    _delete_=True,
    type='CosineAnnealingLR',
    by_epoch=False,
    T_max=2000,
    eta_min_ratio=0.01,
)
default_hooks = dict(checkpoint=dict(interval=1000))
randomness = dict(seed=0)
