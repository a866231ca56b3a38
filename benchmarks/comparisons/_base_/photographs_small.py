# An EDSR x2 of half the width and depth, on patches of 24x24.
metric = 'photographs/PSNR'
shape = (24, 24)
options = [
    'model.generator.mid_channels=32',
    'model.generator.num_blocks=8',
    'train_dataloader.dataset.pipeline.3.gt_patch_size=48',
]
