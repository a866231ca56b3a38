# Added, not gated: a gate would have 2048 x 4096 weights for each entry.
_base_ = '../bp/resnet101_8xb32-90e_in1k.py'
model = dict(
    type='mmfba.LocalImageClassifier',
    local_learning=dict(
        num_modules=4, auxiliary=dict(neck=dict(fusion='add'))
    ),
)
