# What FBA could be made of else, ResNet-32, by images of the training data
# that were kept back: fewer modules, a deeper SLM, and the usual weight of the
# local losses with a higher learning rate of the auxiliary networks alone.
_base_ = './_base_/fashion-mnist_kept-back.py'
name = 'resnet32_1xb128-2e_fashion-mnist'
config = f'configs/fba/fba-k4_{name}.py'
local = 'model.local_learning'
blocks = f'{local}.auxiliary.neck.blocks_per_stage'
lr = 'optim_wrapper.paramwise_cfg.custom_keys.local_aux.lr_mult'
arms = {
    'BP': dict(
        config=f'configs/fba/fba-k16_{name}.py',
        options=[f'{local}.num_modules=1'],
    ),
    'FBA': dict(),
    'FBA (K=3)': dict(
        options=[
            f'{local}.num_modules=3',
            f'{local}.partition=[layer1.1,layer2.0]',
        ]
    ),
    'FBA (2 blocks a stage)': dict(options=[f'{blocks}=2']),
    'FBA (3 blocks a stage)': dict(options=[f'{blocks}=3']),
    'FBA (weight 1, lr x4)': dict(
        options=[f'{local}.loss_weight=1.0', f'{lr}=4.0']
    ),
}
del name, local, blocks, lr
