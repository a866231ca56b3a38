# Copyright (c) mmfba authors.
"""A type means the same as a class, by its name, and with its scope."""

import pytest
import torch
from local_models import build
from mmdet.models import FPN
from mmdet.models.losses import FocalLoss as PlainFocalLoss
from mmdet.models.task_modules import MaxIoUAssigner
from mmengine.model import PretrainedInit

from mmfba.models.auxiliary import TaskHead
from mmfba.models.auxiliary.initialization import init_cfg_like


def _shapes(model):
    return {k: v.shape for k, v in model.local_aux.state_dict().items()}


@pytest.mark.parametrize('kind', [TaskHead, 'mmfba.models.TaskHead'])
def test_options_are_merged_over_defaults_of_the_same_type(kind):
    """By default it is a copy, in its own defaults slim."""
    models = [
        build('classification', num_modules=3, auxiliary=dict(head=head))
        for head in (dict(mode='copy'), dict(type=kind))
    ]
    expected, found = map(_shapes, models)
    assert found == expected


@pytest.mark.parametrize('kind', [FPN, 'mmdet.FPN', 'mmdet.models.necks.FPN'])
@pytest.mark.parametrize(
    'auxiliary', ['mmfba.BankFPN', 'mmfba.ConvLevel', None]
)
def test_main_neck(kind, auxiliary):
    neck = dict(auxiliary=dict(neck=dict(type=auxiliary))) if auxiliary else {}
    cuts = ['layer2.1', 'layer3.1']
    models = [
        build('detection', dict(neck=dict(type=name)), partition=cuts, **neck)
        for name in ('FPN', kind)
    ]
    expected, found = map(_shapes, models)
    assert found == expected


@pytest.mark.parametrize('kind', [MaxIoUAssigner, 'mmdet.MaxIoUAssigner'])
def test_assigner(kind):
    """ConvLevel leaves out anchors, which only this assigner allows."""
    auxiliary = dict(neck=dict(type='mmfba.ConvLevel'))
    train_cfg = dict(
        assigner=dict(
            type=kind, pos_iou_thr=0.5, neg_iou_thr=0.4, min_pos_iou=0
        )
    )
    build(
        'detection',
        dict(train_cfg=train_cfg),
        partition=['layer2.1', 'layer3.1'],
        auxiliary=auxiliary,
    )


@pytest.mark.parametrize('kind', [PretrainedInit, 'Pretrained'])
def test_pretrained_weights_are_the_backbones(kind):
    backbone = torch.nn.Identity()
    backbone.init_cfg = dict(type=kind, checkpoint='resnet50.pth')
    parts = init_cfg_like(backbone)
    assert [part['type'] for part in parts] == ['Kaiming', 'Constant']


class FocalLoss(PlainFocalLoss):
    """Another loss that has the name of mmdet's."""

    def forward(self, pred, *args, **kwargs):
        return super().forward(pred, *args, **kwargs) * pred.mean()


def test_what_is_named_alike_is_not_taken_for_it():
    head = dict(loss_cls=dict(type=FocalLoss, use_sigmoid=True))
    with pytest.raises(ValueError, match=r'chunk.*loss_cls=.*\.FocalLoss'):
        build('detection', dict(bbox_head=head), num_modules=2, chunk=1)
