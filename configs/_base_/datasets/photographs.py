# Photographs in the place of DIV2K and its test sets, for mmagic's EDSR x2.
# tools/dataset_converters/photographs.py writes them, in DIV2K's layout.
# It inherits the whole config: what it changes must not be in a second base.
_base_ = 'mmagic::edsr/edsr_x2c64b16_1xb16-300k_div2k.py'
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

# One checkpoint, beside the logs and not in a folder for all configs.
default_hooks = dict(
    checkpoint=dict(out_dir=None, max_keep_ckpts=1),
    plain_checkpoint=dict(type='mmfba.PlainCheckpointHook'),
)
