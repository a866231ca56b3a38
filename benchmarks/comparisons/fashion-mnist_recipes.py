# FBA and its SLM alone, and the recipe of the paper and of its earlier
# version.
_base_ = './_base_/fashion-mnist_10k.py'
name = 'k16_resnet32_1xb128-2e_fashion-mnist'
arms = {
    'BP': dict(
        config=f'configs/fba/fba-{name}.py',
        options=['model.local_learning.num_modules=1'],
    ),
    'FBA': dict(config=f'configs/fba/fba-{name}.py'),
    'SLM only': dict(
        config=f'configs/fba/fba-{name}.py',
        options=['model.local_learning.auxiliary.neck.fusion=none'],
    ),
    'paper, s1': dict(config=f'configs/fba_paper/fba-s1-{name}.py'),
    'paper, s2': dict(config=f'configs/fba_paper/fba-s2-{name}.py'),
}
del name
