_base_ = [
    '../fba/fba-k4_edsr_x4c64b16_1xb16-300k_div2k.py',
    '../_base_/recipes/paper.py',
]
experiment_name = 'fba-s1-k4_edsr_x4c64b16_1xb16-300k_div2k'
work_dir = f'./work_dirs/{experiment_name}'
model = dict(local_learning=_base_.paper.s1.super_resolution)
x2 = 'fba-s1-k4_edsr_x2c64b16_1xb16-300k_div2k'
load_from = f'work_dirs/{x2}/iter_300000.pth'
