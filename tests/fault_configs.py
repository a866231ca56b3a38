# Copyright (c) mmfba authors.
"""Configs that train in a second, on data written beside them."""

from local_models import config
from tiny_data import write_coco, write_fashion_mnist


def classifier_config(folder, **local_learning):
    """Fashion-MNIST, two iterations of four images each.

    Args:
        folder (Path): Gets the data.
        **local_learning: Options; plain training without any.

    Returns:
        Config: With all that a Runner needs.
    """
    write_fashion_mnist(folder / 'data')
    cfg = config('classification', **(local_learning or dict(num_modules=2)))
    cfg.model.backbone.in_channels = 1
    cfg.model.data_preprocessor.mean = [127.0]
    cfg.model.data_preprocessor.std = [64.0]
    cfg.merge_from_dict(
        dict(
            work_dir=str(folder / 'work'),
            train_dataloader=_loader(folder, 'train'),
            val_dataloader=_loader(folder, 'test'),
            val_evaluator=dict(type='Accuracy', topk=1),
            val_cfg=dict(),
            train_cfg=dict(by_epoch=True, max_epochs=1),
            default_hooks=dict(
                feature_bank=dict(type='mmfba.FeatureBankHook')
            ),
            randomness=dict(seed=0),
        )
    )
    for part in ('dataloader', 'evaluator', 'cfg'):
        cfg[f'test_{part}'] = cfg[f'val_{part}']
    return cfg


def _loader(folder, split):
    return dict(
        batch_size=4,
        num_workers=0,
        dataset=dict(
            type='FashionMNIST',
            data_root=str(folder / 'data'),
            split=split,
            pipeline=[dict(type='PackInputs')],
        ),
        sampler=dict(type='DefaultSampler', shuffle=split == 'train'),
    )


def detector_config(folder, **local_learning):
    """COCO, two iterations of two images each."""
    write_coco(folder / 'data')
    cfg = config('detection', **(local_learning or dict(num_modules=2)))
    cfg.model.bbox_head.num_classes = 80
    cfg.merge_from_dict(
        dict(
            work_dir=str(folder / 'work'),
            train_dataloader=_coco(folder, 'train', training=True),
            train_cfg=dict(by_epoch=True, max_epochs=1),
            default_hooks=dict(
                feature_bank=dict(type='mmfba.FeatureBankHook')
            ),
            randomness=dict(seed=0),
        )
    )
    return cfg


def _coco(folder, split, training):
    return dict(
        batch_size=2,
        num_workers=0,
        dataset=dict(
            type='CocoDataset',
            data_root=str(folder / 'data'),
            ann_file=f'annotations/instances_{split}2017.json',
            data_prefix=dict(img=f'{split}2017'),
            filter_cfg=dict(filter_empty_gt=True, min_size=1),
            pipeline=[
                dict(type='LoadImageFromFile'),
                dict(type='LoadAnnotations', with_bbox=True),
                dict(type='Resize', scale=(96, 96), keep_ratio=True),
                dict(
                    type='PackDetInputs',
                    meta_keys=('img_id', 'img_shape', 'ori_shape'),
                ),
            ],
        ),
        sampler=dict(type='DefaultSampler', shuffle=True),
    )
