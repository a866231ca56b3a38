# The FBA paper's schedule of detection: lr 0 for 5 iterations, then cosine.
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=90, val_interval=10)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
param_scheduler = [
    dict(type='ConstantLR', factor=1e-6, by_epoch=False, end=5),
    dict(type='CosineAnnealingLR', by_epoch=True, T_max=90),
]
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(
        type='SGD', lr=1e-4, momentum=0.9, weight_decay=1e-4, nesterov=True
    ),
    clip_grad=dict(max_norm=10),
)
auto_scale_lr = dict(base_batch_size=32)
