# BP and FBA in super-resolution, at half the width and depth.
metric = 'photographs/PSNR'
shape = (24, 24)
seeds = [0]
options = [
    'model.generator.mid_channels=32',
    'model.generator.num_blocks=8',
    'train_dataloader.dataset.pipeline.3.gt_patch_size=48',
]
arms = {
    'BP': dict(config='configs/bp/edsr_x2c64b16_1xb16-2k_photographs.py'),
    'FBA': dict(
        config='configs/fba/fba-k4_edsr_x2c64b16_1xb16-2k_photographs.py'
    ),
}
