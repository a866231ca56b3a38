# The costs of table 5 of the paper: EDSR x2.
metric = 'RGB/PSNR'
shape = (48, 48)
configs = [
    'bp/edsr_x2c64b16_1xb16-300k_div2k',
    'fba/fba-k4_edsr_x2c64b16_1xb16-300k_div2k',
    'fba_paper/fba-s1-k4_edsr_x2c64b16_1xb16-300k_div2k',
    'fba_paper/fba-s2-k4_edsr_x2c64b16_1xb16-300k_div2k',
    'dgl/dgl-conv-k4_edsr_x2c64b16_1xb16-300k_div2k',
    'greedy/greedy-k4_edsr_x2c64b16_1xb16-300k_div2k',
]
arms = {path: dict(config=f'configs/{path}.py') for path in configs}
del configs
