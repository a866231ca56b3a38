# Cut where BalancedPartition cuts it with an SLM of the full width.
_base_ = './fba-k16_resnet32_1xb128-2e_fashion-mnist.py'
model = dict(
    local_learning=dict(
        num_modules=4,
        partition=['layer1.0', 'layer1.2', 'layer2.0'],
        auxiliary=dict(neck=dict(channel_ratio=0.5)),
    )
)
