# Copyright (c) mmfba authors.
"""Stock configs, cut down for the data of tiny_data.py."""

DETECTION = """
_base_ = ['mmdet::retinanet/retinanet_r18_fpn_1x_coco.py']
# Untrained scores are low, and without predictions there are no metrics.
model = dict(backbone=dict(init_cfg=None), test_cfg=dict(score_thr=0.))
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='Resize', scale=(96, 80), keep_ratio=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackDetInputs')]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(96, 80), keep_ratio=True),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='PackDetInputs', meta_keys=(
        'img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'))]
train_dataloader = dict(
    num_workers=0, persistent_workers=False,
    dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(
    num_workers=0, persistent_workers=False,
    dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
train_cfg = dict(max_epochs=1)
default_hooks = dict(logger=dict(interval=1))
"""

CLASSIFICATION = """
_base_ = ['mmpretrain::resnet/resnet18_8xb16_cifar10.py']
custom_imports = dict(imports=['tiny_cifar10'])
train_dataloader = dict(num_workers=0)
val_dataloader = dict(num_workers=0)
test_dataloader = dict(num_workers=0)
train_cfg = dict(max_epochs=1)
default_hooks = dict(checkpoint=dict(save_best='auto'))
"""

EDITING = """
_base_ = ['mmagic::edsr/edsr_x2c64b16_1xb16-300k_div2k.py']
model = dict(generator=dict(mid_channels=8, num_blocks=2))
train_dataloader = dict(num_workers=0, batch_size=2)
val_dataloader = dict(num_workers=0)
test_dataloader = _base_.test_dataloader
for loader in test_dataloader:
    loader.num_workers = 0
train_cfg = dict(max_iters=2, val_interval=2)
# The base names another folder than work_dir.
default_hooks = dict(
    checkpoint=dict(interval=1, out_dir=None), logger=dict(interval=1))
"""

LOCAL = {
    'detection': (
        'mmfba.LocalSingleStageDetector',
        'backbone=dict(frozen_stages=-1, norm_eval=False),',
    ),
    'classification': ('mmfba.LocalImageClassifier', ''),
    'super-resolution': ('mmfba.LocalEditModel', ''),
}


def localised(task, base):
    """The config file ``base`` trained by local learning."""
    model, changes = LOCAL[task]
    return f"""
_base_ = ['{base}']
model = dict(
    type='{model}', {changes} local_learning=dict(num_modules=2))
optim_wrapper = dict(type='mmfba.LocalLearningOptimWrapper')
default_hooks = dict(feature_bank=dict(type='mmfba.FeatureBankHook'))
"""
