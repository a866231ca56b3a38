_base_ = '../bp/resnet32_1xb128-2e_fashion-mnist.py'
model = dict(
    type='mmfba.LocalImageClassifier',
    local_learning=dict(
        num_modules=16,
        auxiliary=dict(type='mmfba.GreedyAuxiliary'),
    ),
)
