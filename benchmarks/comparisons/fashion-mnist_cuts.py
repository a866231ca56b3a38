# Number and place of the cuts, classification: the same FBA cut uniformly into
# 16 modules and, as BalancedPartition cuts it for these batches, into 7 and 4.
_base_ = './_base_/fashion-mnist_10k.py'
fba = 'configs/fba/fba-k16_resnet32_1xb128-2e_fashion-mnist.py'
k4, k7 = (
    [
        f'model.local_learning.num_modules={len(cuts) + 1}',
        f'model.local_learning.partition={cuts}'.replace(' ', ''),
    ]
    for cuts in (
        ['layer1.0', 'layer1.2', 'layer2.0'],
        [*(f'layer1.{block}' for block in range(4)), 'layer2.0', 'layer2.2'],
    )
)
arms = {
    'BP': dict(config=fba, options=['model.local_learning.num_modules=1']),
    'FBA (K=16)': dict(config=fba),
    'FBA (K=7, balanced)': dict(config=fba, options=k7),
    'FBA (K=4, balanced)': dict(config=fba, options=k4),
}
del fba, k4, k7
