# ResNet-32 on all 60,000 images of Fashion-MNIST for two epochs, twice the
# steps of the other comparisons.
metric = 'accuracy/top1'
shape = (32, 32)
seeds = [0]
name = 'resnet32_1xb128-2e_fashion-mnist'
arms = {
    'BP': dict(
        config=f'configs/fba/fba-k16_{name}.py',
        options=['model.local_learning.num_modules=1'],
    ),
    'FBA (K=4)': dict(config=f'configs/fba/fba-k4_{name}.py'),
}
del name
