_base_ = '../bp/resnet101_8xb32-90e_in1k.py'
model = dict(
    type='mmfba.LocalImageClassifier',
    local_learning=dict(
        num_modules=34,
        auxiliary=dict(type='mmfba.AugLocalAuxiliary', depth=4, tau=0.0),
    ),
)
