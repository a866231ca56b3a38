# A small Swin on all 60,000 images of Fashion-MNIST for two epochs, twice the
# steps of the other comparison.
metric = 'accuracy/top1'
shape = (32, 32)
seeds = [0]
name = 'swin-w32_1xb128-2e_fashion-mnist'
arms = {
    'BP': dict(config=f'configs/bp/{name}.py'),
    'FBA': dict(config=f'configs/fba/fba-k4_{name}.py'),
}
del name
