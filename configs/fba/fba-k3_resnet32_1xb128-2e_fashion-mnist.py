# Cut where BalancedPartition cuts it with an SLM of the full width.
_base_ = './fba-k4_resnet32_1xb128-2e_fashion-mnist.py'
model = dict(
    local_learning=dict(num_modules=3, partition=['layer1.1', 'layer2.0'])
)
