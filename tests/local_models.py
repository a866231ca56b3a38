# Copyright (c) mmfba authors.
"""Tiny models of the three tasks, plain and local, with inputs as in training.

``build(task)`` is the plain model, ``build(task, num_modules=3)`` the same
trained by local learning.
"""

import copy
import logging
from contextlib import nullcontext
from importlib import import_module

import torch
from mmengine.config import Config, ConfigDict
from mmengine.registry import DefaultScope, init_default_scope

import mmfba.models  # noqa: F401

CLASSIFIER = dict(
    type='ImageClassifier',
    backbone=dict(
        type='mmfba.CIFARResNet', depth=20, base_channels=8, in_channels=3
    ),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(
        type='LinearClsHead',
        num_classes=10,
        in_channels=32,
        loss=dict(type='CrossEntropyLoss', loss_weight=1.0),
    ),
    data_preprocessor=dict(mean=[127.0] * 3, std=[64.0] * 3, num_classes=10),
)
DETECTOR = dict(
    type='RetinaNet',
    data_preprocessor=dict(
        type='DetDataPreprocessor',
        mean=[127.0] * 3,
        std=[64.0] * 3,
        pad_size_divisor=32,
    ),
    backbone=dict(
        type='ResNet',
        depth=18,
        base_channels=8,
        num_stages=4,
        out_indices=(0, 1, 2, 3),
        norm_eval=False,
    ),
    neck=dict(
        type='FPN',
        in_channels=[8, 16, 32, 64],
        out_channels=16,
        start_level=1,
        add_extra_convs='on_input',
        num_outs=5,
    ),
    bbox_head=dict(
        type='RetinaHead',
        num_classes=4,
        in_channels=16,
        stacked_convs=2,
        feat_channels=16,
        anchor_generator=dict(
            type='AnchorGenerator',
            octave_base_scale=4,
            scales_per_octave=3,
            ratios=[0.5, 1.0, 2.0],
            strides=[8, 16, 32, 64, 128],
        ),
        bbox_coder=dict(type='DeltaXYWHBBoxCoder'),
        loss_cls=dict(type='mmfba.LeanSigmoidFocalLoss', use_sigmoid=True),
        loss_bbox=dict(type='L1Loss'),
    ),
    train_cfg=dict(
        assigner=dict(
            type='MaxIoUAssigner',
            pos_iou_thr=0.5,
            neg_iou_thr=0.4,
            min_pos_iou=0,
            ignore_iof_thr=-1,
        ),
        sampler=dict(type='PseudoSampler'),
        allowed_border=-1,
        pos_weight=-1,
        debug=False,
    ),
    test_cfg=dict(
        nms_pre=1000,
        min_bbox_size=0,
        score_thr=0.0,
        nms=dict(type='nms', iou_threshold=0.5),
        max_per_img=20,
    ),
)
YOLOV1 = dict(
    type='SingleStageDetector',
    data_preprocessor=DETECTOR['data_preprocessor'],
    backbone=dict(DETECTOR['backbone'], out_indices=(3,)),
    bbox_head=dict(
        type='mmfba.YOLOV1Head',
        num_classes=4,
        in_channels=64,
        grid_size=2,
        stacked_convs=2,
        feat_channels=16,
    ),
    test_cfg=DETECTOR['test_cfg'],
)
EDITOR = dict(
    type='BaseEditModel',
    generator=dict(
        type='EDSRNet',
        in_channels=3,
        out_channels=3,
        mid_channels=8,
        num_blocks=6,
        upscale_factor=2,
        res_scale=1,
    ),
    pixel_loss=dict(type='L1Loss', loss_weight=1.0, reduction='mean'),
    train_cfg=dict(),
    test_cfg=dict(),
    data_preprocessor=dict(
        type='DataPreprocessor', mean=[0.0] * 3, std=[255.0] * 3
    ),
)

TASKS = {
    'classification': ('mmpretrain', CLASSIFIER, 'LocalImageClassifier'),
    'detection': ('mmdet', DETECTOR, 'LocalSingleStageDetector'),
    'super-resolution': ('mmagic', EDITOR, 'LocalEditModel'),
}
FAMILIES = dict(TASKS, yolov1=('mmdet', YOLOV1, 'LocalSingleStageDetector'))
"""Also a detector without a neck."""


def build(task, plain_options=None, seed=0, **local_learning):
    """Build and initialize a model; plain if ``local_learning`` is empty."""
    scope, cfg, local = FAMILIES[task]
    import_module(scope)  # its name is in the error where it is missing
    DefaultScope._instance_dict.clear()
    init_default_scope(scope)
    from mmengine.registry import MODELS

    cfg = ConfigDict(copy.deepcopy(cfg))
    for key, options in (plain_options or {}).items():
        options = dict(options)
        if options.pop('_delete_', False):
            cfg[key] = {}
        cfg[key].update(options)
    if local_learning:
        cfg.update(type=f'mmfba.{local}', local_learning=local_learning)
    torch.manual_seed(seed)
    model = MODELS.build(cfg)
    logging.disable(logging.WARNING)  # a line for each parameter
    model.init_weights()
    logging.disable(logging.NOTSET)
    model.train()
    return model


def config(task, **local_learning):
    """A config of the local model, as the tools take it."""
    scope, model, local = TASKS[task]
    return Config(
        dict(
            default_scope=scope,
            model=dict(
                copy.deepcopy(model),
                type=f'mmfba.{local}',
                local_learning=local_learning,
            ),
            optim_wrapper=dict(
                type='mmfba.LocalLearningOptimWrapper',
                optimizer=dict(type='SGD', lr=0.1, momentum=0.9),
            ),
        )
    )


def raw_data(task, batch_size=4, size=64, seed=0):
    """A batch as the data loader gives it."""
    rng = torch.Generator().manual_seed(seed)

    def image(pixels):
        return torch.randint(0, 256, (3, pixels, pixels), generator=rng).to(
            torch.uint8
        )

    if task == 'classification':
        from mmpretrain.structures import DataSample

        samples = [
            DataSample().set_gt_label(i % 10) for i in range(batch_size)
        ]
        inputs = [image(size // 4) for _ in samples]
    elif task in ('detection', 'yolov1'):
        from mmdet.testing import demo_mm_inputs

        return demo_mm_inputs(
            batch_size, [[3, size, size]] * batch_size, num_classes=4
        )
    else:
        from mmagic.structures import DataSample

        samples = [
            DataSample(gt_img=image(size // 2)) for _ in range(batch_size)
        ]
        inputs = [image(size // 4) for _ in samples]
        return dict(inputs=torch.stack(inputs).float(), data_samples=samples)
    return dict(inputs=inputs, data_samples=samples)


def data(model, task, training=True, **kwargs):
    """A batch as the model's loss and predict take it."""
    return model.data_preprocessor(
        copy.deepcopy(raw_data(task, **kwargs)), training
    )


def losses(model, task, **kwargs):
    """Total loss and log values of one forward."""
    batch = data(model, task, **kwargs)
    return model.parse_losses(bare_loss(model, batch))


def bare_loss(model, batch, backward=torch.Tensor.backward, forward=None):
    """Losses of a step without an optimizer wrapper.

    ``forward`` is that of what wraps the model, if it is wrapped.
    """
    learner = getattr(model, 'learner', None)  # a plain model has none
    lent = learner.lend_backward(backward) if learner else nullcontext()
    with lent:
        return (forward or model)(**batch, mode='loss')


def gradients(model):
    """Gradients by parameter name, None where there is none."""
    return {
        name: None if p.grad is None else p.grad.clone()
        for name, p in model.named_parameters()
    }
