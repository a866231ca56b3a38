_base_ = '../bp/edsr_x3c64b16_1xb16-300k_div2k.py'
experiment_name = 'fba-k4_edsr_x3c64b16_1xb16-300k_div2k'
work_dir = f'./work_dirs/{experiment_name}'
model = dict(
    type='mmfba.LocalEditModel',
    local_learning=dict(num_modules=4),
)
x2 = 'fba-k4_edsr_x2c64b16_1xb16-300k_div2k'
load_from = f'work_dirs/{x2}/iter_300000.pth'
