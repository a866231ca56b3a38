# The weight of the local losses, for FBA's SLM alone and for two of the peers
# nearest to it. With SGD it is a learning rate of the local modules.
_base_ = './_base_/fashion-mnist_10k.py'
seeds = [0]
none = 'model.local_learning.auxiliary.neck.fusion=none'
weight = 'model.local_learning.loss_weight'
fba = 'configs/fba/fba-k16_resnet32_1xb128-2e_fashion-mnist.py'
dgl = 'configs/dgl/dgl-auglocal-k16_resnet32_1xb128-2e_fashion-mnist.py'
auglocal = (
    'configs/auglocal/auglocal-d2-k14_resnet32_1xb128-2e_fashion-mnist.py'
)
arms = {
    'BP': dict(config=fba, options=['model.local_learning.num_modules=1']),
    'BP, lr 0.2': dict(
        config=fba,
        options=[
            'model.local_learning.num_modules=1',
            'optim_wrapper.optimizer.lr=0.2',
        ],
    ),
    'FBA': dict(config=fba),  # 4, the default of this config
    'SLM only, 1': dict(config=fba, options=[none, f'{weight}=1.0']),
    'SLM only, 2': dict(config=fba, options=[none, f'{weight}=2.0']),
    'SLM only, 4': dict(config=fba, options=[none]),
    'SLM only, 8': dict(config=fba, options=[none, f'{weight}=8.0']),
    'DGL, 1': dict(config=dgl),
    'DGL, 2': dict(config=dgl, options=[f'{weight}=2.0']),
    'DGL, 4': dict(config=dgl, options=[f'{weight}=4.0']),
    'AugLocal, 1': dict(config=auglocal),
    'AugLocal, 2': dict(config=auglocal, options=[f'{weight}=2.0']),
    'AugLocal, 4': dict(config=auglocal, options=[f'{weight}=4.0']),
}
del none, weight, fba, dgl, auglocal
