_base_ = '../bp/resnet32_1xb1024-400e_svhn.py'
model = dict(
    type='mmfba.LocalImageClassifier',
    local_learning=dict(
        num_modules=16,
        loss_weight=4.0,
        auxiliary=dict(neck=dict(channel_ratio=1.0, fusion='gate')),
    ),
)
