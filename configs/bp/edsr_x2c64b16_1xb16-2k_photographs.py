# tools/dataset_converters/photographs.py writes the data, in DIV2K's layout.
# Short: 2,000 iterations with a higher lr, instead of 300,000.
_base_ = 'mmagic::edsr/edsr_x2c64b16_1xb16-300k_div2k.py'
experiment_name = 'edsr_x2c64b16_1xb16-2k_photographs'
work_dir = f'./work_dirs/{experiment_name}'
data_root = 'data/photographs'

load = [dict(step, use_cache=True) for step in _base_.train_pipeline[:2]]
train_dataloader = dict(
    num_workers=1,
    persistent_workers=True,
    dataset=dict(
        data_root=data_root, pipeline=load + _base_.train_pipeline[2:]
    ),
)
val_dataset = dict(
    type='BasicImageDataset',
    metainfo=dict(dataset_type='photographs', task_name='sisr'),
    data_root=data_root,
    data_prefix=dict(img='DIV2K_valid_LR_bicubic/X2', gt='DIV2K_valid_HR'),
    filename_tmpl=dict(img='{}x2', gt='{}'),
    pipeline=_base_.val_pipeline,
)
val_dataloader = dict(num_workers=1, dataset=val_dataset)
test_dataloader = [
    dict(
        num_workers=1,
        sampler=dict(type='DefaultSampler', shuffle=False),
        dataset=val_dataset,
    )
]
test_evaluator = [
    dict(
        type='Evaluator',
        metrics=[
            dict(type='PSNR', crop_border=2, prefix='photographs'),
            dict(type='SSIM', crop_border=2, prefix='photographs'),
        ],
    )
]

train_cfg = dict(max_iters=2000, val_interval=1000)
optim_wrapper = dict(optimizer=dict(lr=1e-3))
param_scheduler = dict(
    _delete_=True,
    type='CosineAnnealingLR',
    by_epoch=False,
    T_max=2000,
    eta_min_ratio=0.01,
)
default_hooks = dict(
    checkpoint=dict(interval=1000, out_dir=None, max_keep_ckpts=1),
    plain_checkpoint=dict(type='mmfba.PlainCheckpointHook'),
)
randomness = dict(seed=0)
