# The weight of the local losses, ResNet-32: for FBA and two of the peers on
# the same cuts, by the last 10,000 images of the training data. With SGD it
# is a learning rate of the local modules; BP has its own beside it, and FBA's
# last module, too.
_base_ = './_base_/fashion-mnist_kept-back.py'
weight = 'model.local_learning.loss_weight'
main_weight = 'model.head.loss.loss_weight'
cuts = [
    'model.local_learning.num_modules=4',
    'model.local_learning.partition=[layer1.0,layer1.2,layer2.0]',
]
name = 'resnet32_1xb128-2e_fashion-mnist'
fba = f'configs/fba/fba-k4_{name}.py'
k16 = f'configs/fba/fba-k16_{name}.py'
dgl = f'configs/dgl/dgl-auglocal-k16_{name}.py'
auglocal = f'configs/auglocal/auglocal-d2-k14_{name}.py'
plain = 'model.local_learning.num_modules=1'
arms = {
    'BP': dict(config=k16, options=[plain]),
    'BP, lr 0.2': dict(
        config=k16, options=[plain, 'optim_wrapper.optimizer.lr=0.2']
    ),
    'FBA, 1': dict(config=fba, options=[f'{weight}=1.0']),
    'FBA, 2': dict(config=fba, options=[f'{weight}=2.0']),
    'FBA': dict(config=fba),  # 4, the default of this config
    # The auxiliary heads are copies of the main one: theirs weigh 2 * 2.
    'FBA, main loss 2': dict(
        config=fba, options=[f'{main_weight}=2.0', f'{weight}=2.0']
    ),
    'AugLocal, 1': dict(config=auglocal, options=cuts),
    'AugLocal, 2': dict(config=auglocal, options=[*cuts, f'{weight}=2.0']),
    'AugLocal, 4': dict(config=auglocal, options=[*cuts, f'{weight}=4.0']),
    'DGL, 1': dict(config=dgl, options=cuts),
    'DGL, 2': dict(config=dgl, options=[*cuts, f'{weight}=2.0']),
    'DGL, 4': dict(config=dgl, options=[*cuts, f'{weight}=4.0']),
}
del weight, main_weight, cuts, name, fba, k16, dgl, auglocal, plain
