# DIV2K for mmagic's EDSR x2; it inherits the whole config, whose datasets
# it changes.
# Validated on 10 images, tested on all 100 of DIV2K's validation set, as EDSR:
# a border of scale + 6 pixels is left out. Unlike there, predictions are not
# rounded to 8 bits first.
_base_ = 'mmagic::edsr/edsr_x2c64b16_1xb16-300k_div2k.py'
valid = dict(
    type='BasicImageDataset',
    metainfo=dict(dataset_type='div2k', task_name='sisr'),
    data_root='data/DIV2K',
    data_prefix=dict(img='DIV2K_valid_LR_bicubic/X2', gt='DIV2K_valid_HR'),
    filename_tmpl=dict(img='{}x2', gt='{}'),
    pipeline=_base_.val_pipeline,
)
metrics = [
    dict(type='PSNR', crop_border=8, prefix='RGB'),
    dict(type='SSIM', crop_border=8, prefix='RGB'),
    dict(type='PSNR', crop_border=8, convert_to='Y', prefix='Y'),
    dict(type='SSIM', crop_border=8, convert_to='Y', prefix='Y'),
]
val_dataloader = dict(dataset=dict(valid, indices=10))
val_evaluator = dict(metrics=metrics)
test_dataloader = [
    dict(
        num_workers=4,
        sampler=dict(type='DefaultSampler', shuffle=False),
        dataset=valid,
    )
]
test_evaluator = [dict(type='Evaluator', metrics=metrics)]

default_hooks = dict(
    checkpoint=dict(out_dir=None, save_best='RGB/PSNR'),
)
