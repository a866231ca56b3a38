# Copyright (c) mmfba authors.
"""Necks that are lists, or no FPN: stock configs on small images."""

import copy

import pytest
import torch
from local_models import (
    CLASSIFIER,
    DETECTOR,
    bare_loss,
    config,
    data,
    gradients,
)
from mmdet.models import FPN
from mmdet.registry import MODELS as MMDET_MODELS
from mmengine.config import ConfigDict
from mmengine.hub import get_config

from mmfba.models.build_model import build_model
from mmfba.models.describe import describe

DETECTORS = {
    'dyhead': 'mmdet::dyhead/atss_r50_fpn_dyhead_1x_coco.py',
    'bfp': 'mmdet::libra_rcnn/libra-retinanet_r50_fpn_1x_coco.py',
    'centernet': 'mmdet::centernet/centernet_r18_8xb16-crop512-140e_coco.py',
    'dcn': 'mmdet::centernet/centernet_r18-dcnv2_8xb16-crop512-140e_coco.py',
}
LINEAR = [
    dict(type='GlobalAveragePooling'),
    dict(type='LinearNeck', in_channels=32, out_channels=12),
]


def stock(name, **local_learning):
    """A stock detector with a tiny backbone; plain without options."""
    cfg = get_config(DETECTORS[name])
    model = cfg.model
    model.backbone.update(init_cfg=None, base_channels=16, frozen_stages=-1)
    widths = [16, 32, 64, 128]
    if model.backbone.depth == 50:
        widths = [4 * width for width in widths]
    if isinstance(model.neck, list):
        model.neck[0].in_channels = widths
        if name == 'dyhead':
            model.neck[1].num_blocks = 1
    else:
        model.neck.in_channels = widths[-1]
    model.bbox_head.num_classes = 4
    return finish(cfg, 'mmfba.LocalSingleStageDetector', local_learning)


def linear(neck=LINEAR, head=None, **local_learning):
    """A tiny classifier with a linear neck."""
    cfg = config('classification')
    cfg.model = ConfigDict(copy.deepcopy(CLASSIFIER))
    cfg.model.neck = copy.deepcopy(neck)
    cfg.model.head.in_channels = 12
    if head:
        cfg.model.head = ConfigDict(head)
    return finish(cfg, 'mmfba.LocalImageClassifier', local_learning)


def finish(cfg, kind, local_learning):
    if local_learning:
        cfg.model.update(type=kind, local_learning=local_learning)
    torch.manual_seed(0)
    return build_model(cfg).train()


def step(model, task):
    """Losses and gradients in double precision."""
    model.double()
    batch = data(model, task, batch_size=2)
    batch['inputs'] = batch['inputs'].double()
    total, logs = model.parse_losses(bare_loss(model, batch))
    total.backward()
    return total, logs, gradients(model)


def assert_is_bp(plain, local, task):
    (total, _, grads), (expected, _, others) = (
        step(model, task) for model in (local, plain)
    )
    assert total.equal(expected) and grads.keys() == others.keys()
    for name, grad in grads.items():
        if others[name] is None:
            assert grad is None, name
        else:
            assert grad.equal(others[name]), name


def assert_trains_all(model, task):
    """Every parameter that BP trains, and all of the auxiliary networks."""
    _, logs, grads = step(model, task)
    assert all(torch.tensor(float(v)).isfinite() for v in logs.values())
    assert len(model.local_aux) == len(model.cuts) > 0
    for name, grad in grads.items():
        assert grad is not None and grad.isfinite().all(), name
    assert any(k.startswith(f'aux{len(model.cuts) - 1}/') for k in logs)


@pytest.mark.parametrize('name', DETECTORS)
def test_one_module_is_bp(name):
    assert_is_bp(stock(name), stock(name, num_modules=1), 'detection')


def test_one_module_is_bp_with_a_linear_neck():
    assert_is_bp(linear(), linear(num_modules=1), 'classification')


@pytest.mark.parametrize('name', DETECTORS)
@pytest.mark.parametrize('options', [dict(), dict(timing='two_pass')])
def test_detectors_train_in_modules(name, options):
    model = stock(name, num_modules=4, partition='stage', **options)
    assert_trains_all(model, 'detection')
    read = describe(model)[-1]['reads']
    ends = [*model.cuts[1:], model.anatomy.outputs[-1]]
    assert read == (ends if name in ('dyhead', 'bfp') else ends[-1:])


@MMDET_MODELS.register_module()
class TrainingFPN(FPN):
    """It cannot be probed."""

    def forward(self, maps):
        assert self.training
        return super().forward(maps)


def test_a_neck_that_cannot_be_probed_trains_as_a_whole_only():
    models = []
    for options in (dict(), dict(num_modules=1), dict(num_modules=3)):
        cfg = config('detection')
        cfg.model.neck.type = 'TrainingFPN'
        if not options:
            cfg.model = dict(DETECTOR, neck=cfg.model.neck)
        elif options['num_modules'] == 3:
            with pytest.raises(
                ValueError, match='TrainingFPN .*num_modules=1'
            ):
                finish(cfg, 'mmfba.LocalSingleStageDetector', options)
            continue
        models.append(finish(cfg, 'mmfba.LocalSingleStageDetector', options))
    assert_is_bp(*models, 'detection')


@pytest.mark.parametrize(
    'neck',
    [
        LINEAR,
        dict(LINEAR[1], gap_dim=2),
        [dict(type='GeneralizedMeanPooling'), LINEAR[1]],
    ],
)
@pytest.mark.parametrize(
    'slm', [dict(), dict(channel_ratio=0.5), dict(fusion='gate')]
)
def test_classifiers_train_in_modules(neck, slm):
    model = linear(
        neck,
        num_modules=3,
        auxiliary=dict(neck=dict(type='mmfba.SLMNeck', **slm)),
    )
    assert_trains_all(model, 'classification')
    for aux in model.local_aux:
        # The main network's neck, with weights of its own.
        assert aux.neck.out_channels == aux.head.in_channels == 12
        assert not {*aux.parameters()} & {*model.neck.parameters()}


@pytest.mark.parametrize('mode', ['copy', 'shared'])
def test_a_neck_that_classifies_keeps_its_width(mode):
    """A head without weights takes the classes from the neck."""
    neck = [LINEAR[0], dict(LINEAR[1], out_channels=10)]
    model = linear(
        neck,
        dict(type='ClsHead'),
        num_modules=3,
        auxiliary=dict(head=dict(mode=mode)),
    )
    assert_trains_all(model, 'classification')
