# Copyright (c) mmfba authors.
"""What users do with a stock config: a task, and what they change in it."""

NARROW = dict(
    det={
        'model.backbone': dict(
            base_channels=8, frozen_stages=-1, norm_eval=False
        ),
        'model.neck': dict(in_channels=[8, 16, 32, 64], out_channels=32),
        'model.bbox_head': dict(
            in_channels=32, feat_channels=32, stacked_convs=1
        ),
        'train_dataloader.batch_size': 2,
        # No warm-up, which would hardly move a weight.
        'param_scheduler': [dict(type='MultiStepLR', milestones=[1])],
        'train_cfg.val_begin': 9,
        'visualizer': None,
    },
    cls={
        'model.backbone': dict(base_channels=8, stem_channels=8),
        'model.head': dict(in_channels=64, topk=(1,)),
        'train_dataloader.batch_size': 4,
        'train_dataloader.persistent_workers': False,
        'val_dataloader.persistent_workers': False,
        'test_dataloader.persistent_workers': False,
        'train_cfg.val_begin': 9,
        'visualizer': None,
    },
    edit={'train_dataloader.persistent_workers': False},
)
"""Small networks; without validation, which rows switch on again."""
VALIDATE = {'train_cfg.val_begin': 1}
SGD = dict(_delete_=True, type='SGD', lr=0.01)

ROWS = {
    'stock-det': ('det', VALIDATE),
    'stock-cls': ('cls', VALIDATE),
    'stock-edit': ('edit', {}),
    'accumulation-det': ('det', {'optim_wrapper.accumulative_counts': 2}),
    'accumulation-cls': ('cls', {'optim_wrapper.accumulative_counts': 3}),
    # Adam would not see how long a gradient is.
    'accumulation-edit': (
        'edit',
        {'optim_wrapper': dict(accumulative_counts=2, optimizer=SGD)},
    ),
    'amp': (
        'cls',
        {
            'optim_wrapper': dict(
                amp=True, dtype='bfloat16', accumulative_counts=2
            )
        },
    ),
    'clip-norm': ('det', {'optim_wrapper.clip_grad': dict(max_norm=0.1)}),
    'clip-value': (
        'cls',
        {'optim_wrapper.clip_grad': dict(type='value', clip_value=1e-3)},
    ),
    'adamw-paramwise': (
        'det',
        {
            'optim_wrapper.optimizer': dict(
                _delete_=True, type='AdamW', lr=1e-3, weight_decay=0.1
            ),
            'optim_wrapper.paramwise_cfg': dict(
                norm_decay_mult=0.0,
                bias_lr_mult=2.0,
                custom_keys=dict(backbone=dict(lr_mult=0.1, decay_mult=0.5)),
            ),
        },
    ),
    'auto-scale-lr': (
        'cls',
        {'auto_scale_lr': dict(enable=True, base_batch_size=16)},
    ),
    'ema': (
        'cls',
        {
            **VALIDATE,
            'custom_hooks': [dict(type='mmengine.EMAHook', momentum=0.1)],
        },
    ),
    'ema-annealing-buffers': (
        'det',
        {
            'custom_hooks': [
                dict(
                    type='mmengine.EMAHook',
                    ema_type='MomentumAnnealingEMA',
                    update_buffers=True,
                    begin_iter=1,
                )
            ]
        },
    ),
    'frozen': (
        'det',
        {'model.backbone': dict(frozen_stages=1, norm_eval=True)},
    ),
    'schedulers': (
        'cls',
        {
            'param_scheduler': [
                dict(type='LinearLR', by_epoch=False, start_factor=0.1, end=2),
                dict(
                    type='CosineAnnealingLR',
                    T_max=2,
                    convert_to_iter_based=True,
                ),
                dict(type='CosineAnnealingMomentum', T_max=2, eta_min=0.5),
            ]
        },
    ),
    'multi-scale': (
        'det',
        {
            'train_dataloader.dataset.pipeline.2': dict(
                type='RandomChoiceResize',
                scales=[(96, 64), (96, 80), (112, 96)],
            )
        },
    ),
    'multi-scale-batch': (
        'det',
        {
            'model.data_preprocessor.batch_augments': [
                dict(
                    type='BatchSyncRandomResize',
                    random_size_range=(64, 128),
                    interval=1,
                )
            ]
        },
    ),
    'empty-images': (
        'det',
        {
            'train_dataloader.dataset.filter_cfg.filter_empty_gt': False,
            'train_dataloader.dataset.ann_file': 'annotations/empty.json',
        },
    ),
    'mixup-cutmix': (
        'cls',
        {
            'model.train_cfg': dict(
                augments=[
                    dict(type='Mixup', alpha=0.8),
                    dict(type='CutMix', alpha=1.0),
                ]
            )
        },
    ),
    'class-balanced': (
        'det',
        {'wrap': dict(type='ClassBalancedDataset', oversample_thr=0.3)},
    ),
    'repeat': ('cls', {'wrap': dict(type='RepeatDataset', times=2)}),
    'sampler': ('cls', {'train_dataloader.sampler.type': 'RepeatAugSampler'}),
    'workers': (
        'cls',
        {
            'train_cfg.max_epochs': 2,
            'train_dataloader': dict(num_workers=2, persistent_workers=True),
        },
    ),
    'iter-based': (
        'cls',
        {
            'train_cfg': dict(
                _delete_=True,
                type='IterBasedTrainLoop',
                max_iters=3,
                val_interval=2,
            ),
            'param_scheduler': [
                dict(type='MultiStepLR', by_epoch=False, milestones=[1])
            ],
            'train_dataloader.sampler.type': 'InfiniteSampler',
            'log_processor.by_epoch': False,
        },
    ),
    'early-stopping': (
        'cls',
        {
            'train_cfg': dict(max_epochs=4, val_begin=1),
            'custom_hooks': [
                dict(
                    type='EarlyStoppingHook',
                    monitor='accuracy/top1',
                    min_delta=1e9,
                    patience=1,
                )
            ],
        },
    ),
    'keep-best': (
        'cls',
        {
            'train_cfg': dict(max_epochs=2, val_begin=1),
            'default_hooks.checkpoint.max_keep_ckpts': 1,
        },
    ),
    'randomness': (
        'cls',
        {
            'randomness': dict(
                seed=7, deterministic=True, diff_rank_seed=True
            ),
            'env_cfg.cudnn_benchmark': True,
        },
    ),
    'hooks': (
        'cls',
        {
            'custom_hooks': [
                dict(type='Recorder', priority='VERY_HIGH'),
                dict(type='Recorder', priority='VERY_LOW'),
            ]
        },
    ),
    'hooks-of-mmdet': (
        'det',
        {
            'custom_hooks': [
                dict(type='NumClassCheckHook'),
                dict(type='CheckInvalidLossHook', interval=1),
            ]
        },
    ),
    'hooks-of-mmpretrain': (
        'cls',
        {
            'custom_hooks': [
                dict(type='ClassNumCheckHook'),
                dict(type='PreciseBNHook', num_samples=8),
            ]
        },
    ),
}

FLIPS = [dict(type='RandomFlip', prob=prob) for prob in (1.0, 0.0)]
META = (
    *('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'),
    *('flip', 'flip_direction'),
)
TTA = dict(
    det=(
        dict(
            type='DetTTAModel',
            tta_cfg=dict(
                nms=dict(type='nms', iou_threshold=0.5), max_per_img=100
            ),
        ),
        [
            dict(type='LoadImageFromFile'),
            dict(
                type='TestTimeAug',
                transforms=[
                    [
                        dict(type='Resize', scale=scale, keep_ratio=True)
                        for scale in ((96, 80), (128, 96))
                    ],
                    FLIPS,
                    [dict(type='LoadAnnotations', with_bbox=True)],
                    [dict(type='PackDetInputs', meta_keys=META)],
                ],
            ),
        ],
    ),
    cls=(
        dict(type='AverageClsScoreTTA'),
        [
            dict(
                type='TestTimeAug',
                transforms=[FLIPS, [dict(type='PackInputs')]],
            )
        ],
    ),
)
"""Test-time augmentation: the model, and the pipeline."""
