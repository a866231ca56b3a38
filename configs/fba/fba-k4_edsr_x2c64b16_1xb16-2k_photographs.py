_base_ = '../bp/edsr_x2c64b16_1xb16-2k_photographs.py'
experiment_name = 'fba-k4_edsr_x2c64b16_1xb16-2k_photographs'
work_dir = f'./work_dirs/{experiment_name}'
model = dict(
    type='mmfba.LocalEditModel',
    local_learning=dict(num_modules=4),
)
