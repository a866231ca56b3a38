# Cut where BalancedPartition cuts it for these batches.
_base_ = './fba-k16_resnet32_1xb128-2e_fashion-mnist.py'
model = dict(
    local_learning=dict(
        num_modules=7,
        partition=[
            'layer1.0',
            'layer1.1',
            'layer1.2',
            'layer1.3',
            'layer2.0',
            'layer2.2',
        ],
    )
)
