# The recipe of the paper, and of its earlier version, against the default.
_base_ = './_base_/photographs_small.py'
name = 'edsr_x2c64b16_1xb16-2k_photographs'
arms = {
    'BP': dict(config=f'configs/bp/{name}.py'),
    'FBA': dict(config=f'configs/fba/fba-k4_{name}.py'),
    'FBA (K=2)': dict(
        config=f'configs/fba/fba-k4_{name}.py',
        options=['model.local_learning.num_modules=2'],
    ),
    # The rate of the auxiliary networks.
    'FBA (K=2, lr x3)': dict(config=f'configs/fba/fba-k2_{name}.py'),
    'uniform cuts': dict(
        config=f'configs/fba/fba-k4_{name}.py',
        options=['model.local_learning.partition=uniform'],
    ),
    'paper, s1': dict(config=f'configs/fba_paper/fba-s1-k4_{name}.py'),
    'paper, s2': dict(config=f'configs/fba_paper/fba-s2-k4_{name}.py'),
}
del name
