# A transformer of super-resolution: BP and FBA with two kinds of cuts, half as
# many iterations on half as many patches of 24x24.
metric = 'photographs/PSNR'
shape = (24, 24)
options = [
    'train_dataloader.batch_size=8',
    'train_dataloader.dataset.pipeline.3.gt_patch_size=48',
    'train_cfg.max_iters=1000',
    'param_scheduler.T_max=1000',
]
name = 'swinir-light_x2_1xb16-2k_photographs'
arms = {
    'BP': dict(config=f'configs/bp/{name}.py'),
    'FBA': dict(config=f'configs/fba/fba-k4_{name}.py'),
    'uniform cuts': dict(
        config=f'configs/fba/fba-k4_{name}.py',
        options=['model.local_learning.partition=uniform'],
    ),
}
del name
