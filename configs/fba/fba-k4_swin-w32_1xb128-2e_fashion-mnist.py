_base_ = '../bp/swin-w32_1xb128-2e_fashion-mnist.py'
model = dict(
    type='mmfba.LocalImageClassifier',
    local_learning=dict(
        num_modules=4, auxiliary=dict(neck=dict(fusion='gate'))
    ),
)
