# The learning rate of the auxiliary networks, super-resolution, under Adam: as
# high as that of the network, and three times as high.
_base_ = './_base_/photographs_small.py'
config = 'configs/fba/fba-k4_edsr_x2c64b16_1xb16-2k_photographs.py'
two = 'model.local_learning.num_modules=2'
faster = 'optim_wrapper.paramwise_cfg.custom_keys.local_aux.lr_mult=3.0'
arms = {
    'BP': dict(config='configs/bp/edsr_x2c64b16_1xb16-2k_photographs.py'),
    'FBA (K=2)': dict(options=[two]),
    'FBA (K=2, lr x3)': dict(options=[two, faster]),
    'FBA (K=4)': dict(),
    'FBA (K=4, lr x3)': dict(options=[faster]),
}
del two, faster
