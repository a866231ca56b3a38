# Number and place of the cuts, classification: the same FBA cut uniformly into
# 16 modules and, as BalancedPartition cuts it for these batches, into 7 to 2;
# two peers with the uniform cuts, and with those of K=4.
_base_ = './_base_/fashion-mnist_10k.py'
name = 'resnet32_1xb128-2e_fashion-mnist'
blocks = 'model.local_learning.auxiliary.neck.blocks_per_stage'
balanced = [
    'model.local_learning.num_modules=4',
    'model.local_learning.partition=[layer1.0,layer1.2,layer2.0]',
]
arms = {
    'BP': dict(
        config=f'configs/fba/fba-k16_{name}.py',
        options=['model.local_learning.num_modules=1'],
    ),
    'FBA (K=16)': dict(config=f'configs/fba/fba-k16_{name}.py'),
    'FBA (K=7, balanced)': dict(config=f'configs/fba/fba-k7_{name}.py'),
    'SLM only (K=2, balanced, half as wide)': dict(
        config=f'configs/fba/fba-k4_{name}.py',
        options=[
            'model.local_learning.num_modules=2',
            'model.local_learning.partition=[layer1.3]',
        ],
    ),
    'FBA (K=3, balanced, SLM half as wide)': dict(
        config=f'configs/fba/fba-k3_{name}.py'
    ),
    'FBA (K=3, balanced, SLM half as wide, 2 blocks)': dict(
        config=f'configs/fba/fba-k3_{name}.py', options=[f'{blocks}=2']
    ),
    'FBA (K=4, balanced, SLM half as wide)': dict(
        config=f'configs/fba/fba-k4_{name}.py'
    ),
    'FBA (K=4, balanced, SLM half as wide, 2 blocks)': dict(
        config=f'configs/fba/fba-k4_{name}.py', options=[f'{blocks}=2']
    ),
    'FBA (K=4, balanced)': dict(
        config=f'configs/fba/fba-k4_{name}.py',
        options=['model.local_learning.auxiliary.neck.channel_ratio=1.0'],
    ),
    'FBA (K=4, balanced, weight 1)': dict(
        config=f'configs/fba/fba-k4_{name}.py',
        options=[
            'model.local_learning.auxiliary.neck.channel_ratio=1.0',
            'model.local_learning.loss_weight=1.0',
        ],
    ),
    'FBA (K=4, balanced, a block of each stage left)': dict(
        config=f'configs/fba/fba-k4_{name}.py',
        options=[
            'model.local_learning.auxiliary.neck.mode=stage_chain',
            'model.local_learning.auxiliary.neck.channel_ratio=1.0',
        ],
    ),
    'AugLocal (K=14)': dict(
        config=f'configs/auglocal/auglocal-d2-k14_{name}.py'
    ),
    'DGL (K=16)': dict(config=f'configs/dgl/dgl-auglocal-k16_{name}.py'),
    'AugLocal (K=4)': dict(
        config=f'configs/auglocal/auglocal-d2-k14_{name}.py',
        options=balanced,
    ),
    'DGL (K=4)': dict(
        config=f'configs/dgl/dgl-auglocal-k16_{name}.py', options=balanced
    ),
}
del name, blocks, balanced
