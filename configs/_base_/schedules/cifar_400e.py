# The local-learning literature's schedule: 10 epochs of warm-up, cosine.
train_cfg = dict(by_epoch=True, max_epochs=400, val_interval=1)
val_cfg = dict()
test_cfg = dict()
param_scheduler = [
    dict(type='LinearLR', start_factor=0.0125, by_epoch=True, end=11),
    dict(type='CosineAnnealingLR', by_epoch=True, T_max=400),
]
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(
        type='SGD', lr=0.8, momentum=0.9, weight_decay=1e-4, nesterov=True
    ),
)
auto_scale_lr = dict(base_batch_size=1024)
