# The auxiliary network learns three times as fast as the network.
_base_ = './fba-k4_edsr_x2c64b16_1xb16-2k_photographs.py'
experiment_name = 'fba-k2_edsr_x2c64b16_1xb16-2k_photographs'
work_dir = f'./work_dirs/{experiment_name}'
model = dict(local_learning=dict(num_modules=2))
optim_wrapper = dict(
    paramwise_cfg=dict(custom_keys=dict(local_aux=dict(lr_mult=3.0)))
)
