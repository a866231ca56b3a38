# BP and FBA in classification, as the configs are.
metric = 'accuracy/top1'
shape = (32, 32)
seeds = [0]
arms = {
    'BP': dict(config='configs/bp/resnet32_1xb128-2e_fashion-mnist.py'),
    'FBA': dict(
        config='configs/fba/fba-k16_resnet32_1xb128-2e_fashion-mnist.py'
    ),
}
