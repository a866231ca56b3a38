_base_ = '../fba/fba-k4_edsr_x2c64b16_1xb16-300k_div2k.py'
experiment_name = 'greedy-k4_edsr_x2c64b16_1xb16-300k_div2k'
work_dir = f'./work_dirs/{experiment_name}'
model = dict(
    local_learning=dict(
        auxiliary=dict(neck=dict(type='mmfba.ConvNeck', method='greedy'))
    )
)
