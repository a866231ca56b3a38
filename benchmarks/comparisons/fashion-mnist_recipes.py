# FBA with a module for each block, its SLM alone, and with fewer modules; the
# recipe of the paper and of its earlier version.
_base_ = './_base_/fashion-mnist_10k.py'
name = 'resnet32_1xb128-2e_fashion-mnist'
arms = {
    'BP': dict(
        config=f'configs/fba/fba-k16_{name}.py',
        options=['model.local_learning.num_modules=1'],
    ),
    'FBA': dict(config=f'configs/fba/fba-k16_{name}.py'),
    'SLM only': dict(
        config=f'configs/fba/fba-k16_{name}.py',
        options=['model.local_learning.auxiliary.neck.fusion=none'],
    ),
    'FBA (K=7)': dict(config=f'configs/fba/fba-k7_{name}.py'),
    'FBA (K=4)': dict(config=f'configs/fba/fba-k4_{name}.py'),
    'FBA (K=3)': dict(config=f'configs/fba/fba-k3_{name}.py'),
    'paper, s1': dict(config=f'configs/fba_paper/fba-s1-k16_{name}.py'),
    'paper, s2': dict(config=f'configs/fba_paper/fba-s2-k16_{name}.py'),
}
del name
