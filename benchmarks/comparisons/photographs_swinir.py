# A transformer of super-resolution, half as many iterations: BP and FBA.
metric = 'photographs/PSNR'
shape = (48, 48)
options = [
    'train_cfg.max_iters=1000',
    'param_scheduler.T_max=1000',
]
name = 'swinir-light_x2_1xb16-2k_photographs'
arms = {
    'BP': dict(config=f'configs/bp/{name}.py'),
    'FBA': dict(config=f'configs/fba/fba-k4_{name}.py'),
}
del name
