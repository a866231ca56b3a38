# The learning rate of the auxiliary networks, super-resolution, under Adam: as
# high as that of the network, and three times as high.
_base_ = './_base_/photographs_small.py'
name = 'edsr_x2c64b16_1xb16-2k_photographs'
config = f'configs/fba/fba-k4_{name}.py'
two = 'model.local_learning.num_modules=2'
faster = 'optim_wrapper.paramwise_cfg.custom_keys.local_aux.lr_mult=3.0'
arms = {
    'BP': dict(config=f'configs/bp/{name}.py'),
    'FBA (K=2)': dict(options=[two]),
    'FBA (K=2, lr x3)': dict(config=f'configs/fba/fba-k2_{name}.py'),
    'FBA (K=4)': dict(),
    'FBA (K=4, lr x3)': dict(options=[faster]),
}
del name, two, faster
