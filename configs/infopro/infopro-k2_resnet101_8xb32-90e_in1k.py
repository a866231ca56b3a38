_base_ = '../bp/resnet101_8xb32-90e_in1k.py'
model = dict(
    type='mmfba.LocalImageClassifier',
    local_learning=dict(
        partition=['layer2.0'],
        auxiliary=dict(
            type='mmfba.InfoProAuxiliary',
            arch='imagenet',
            recon_weight=5,
            task_weight=0.75,
        ),
    ),
)
