# ResNet-32 on all 60,000 images of Fashion-MNIST, 2 epochs.
seeds = [0]
metric = 'accuracy/top1'
shape = (32, 32)
name = 'resnet32_1xb128-2e_fashion-mnist'
arms = {
    'BP': dict(
        config=f'configs/fba/fba-k16_{name}.py',
        options=['model.local_learning.num_modules=1'],
    ),
    'FBA (K=3)': dict(config=f'configs/fba/fba-k3_{name}.py'),
    'FBA (K=4)': dict(config=f'configs/fba/fba-k4_{name}.py'),
}
del name
