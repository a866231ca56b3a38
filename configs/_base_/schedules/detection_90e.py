# The FBA paper's schedule of detection for 64 images: 5 iterations at 0, then
# warm-up (over 500, mmdet's), cosine. Its lr of 1e-4 hardly trains a network
# from scratch: here it is 0.01 for 16 images; the paper's stands in
# _base_/recipes/paper.py.
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=90, val_interval=10)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
param_scheduler = [
    # mmengine's ConstantLR is over one iteration before its ``end``.
    dict(type='ConstantLR', factor=1e-6, by_epoch=False, end=6),
    dict(
        type='LinearLR', start_factor=0.001, by_epoch=False, begin=5, end=505
    ),
    dict(type='CosineAnnealingLR', by_epoch=True, T_max=90),
]
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(
        type='SGD', lr=0.04, momentum=0.9, weight_decay=1e-4, nesterov=True
    ),
    clip_grad=dict(max_norm=10),
)
auto_scale_lr = dict(base_batch_size=64)
