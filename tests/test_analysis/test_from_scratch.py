# Copyright (c) mmfba authors.
import pytest
from mmengine.config import Config

from mmfba.analysis.from_scratch import from_scratch, without_pretrained

PRETRAINED = dict(type='Pretrained', checkpoint='torchvision://resnet18')
KAIMING = dict(type='Kaiming', layer='Conv2d')


def detector(wrapper=None, **backbone):
    cfg = dict(
        type='RetinaNet',
        backbone=dict(type='ResNet', depth=18, **backbone),
        neck=dict(
            type='FPN',
            in_channels=[64, 128, 256, 512],
            out_channels=16,
            num_outs=5,
        ),
        bbox_head=dict(type='RetinaHead', num_classes=3, in_channels=16),
    )
    return Config(
        dict(
            model=cfg, default_scope='mmdet', optim_wrapper=dict(wrapper or {})
        )
    )


def test_a_recipe_of_fine_tuning():
    pytest.importorskip('mmdet')
    cfg = detector(
        dict(clip_grad=None),
        init_cfg=PRETRAINED,
        frozen_stages=1,
        norm_cfg=dict(type='BN', requires_grad=False),
    )
    cfg.load_from = 'detector.pth'
    changes = from_scratch(cfg)
    assert changes == {
        'load_from': None,
        'model.backbone.init_cfg': None,
        'model.backbone.frozen_stages': -1,
        'model.backbone.norm_eval': False,  # True by mmdet's default
        'model.backbone.norm_cfg.requires_grad': True,
        'optim_wrapper.clip_grad': dict(max_norm=10, _delete_=True),
    }
    cfg.merge_from_dict(changes)
    assert cfg.optim_wrapper.clip_grad == dict(max_norm=10)
    assert from_scratch(cfg) == {}


def test_clipping_of_the_users_own_stays():
    pytest.importorskip('mmdet')
    cfg = detector(dict(clip_grad=dict(max_norm=35)), init_cfg=PRETRAINED)
    assert 'optim_wrapper.clip_grad' not in from_scratch(cfg)


def test_a_classifier_from_scratch_stays_as_it_is():
    pytest.importorskip('mmpretrain')
    model = dict(
        type='ImageClassifier',
        backbone=dict(type='ResNet', depth=18),
        head=dict(type='LinearClsHead', num_classes=3, in_channels=512),
    )
    cfg = Config(dict(model=model, default_scope='mmpretrain'))
    cfg.optim_wrapper = dict()
    assert from_scratch(cfg) == {}


def test_pretrained_weights_are_found_anywhere():
    model = dict(
        pretrained='x.pth',
        backbone=dict(init_cfg=[KAIMING, PRETRAINED]),
        neck=dict(init_cfg=dict(checkpoint='y.pth')),
        heads=[dict(init_cfg=KAIMING), dict(init_cfg=PRETRAINED)],
    )
    assert without_pretrained(Config(dict(model=model))) == {
        'model.pretrained': None,
        'model.backbone.init_cfg': [KAIMING],
        'model.neck.init_cfg': None,
        'model.heads.1.init_cfg': None,
    }
