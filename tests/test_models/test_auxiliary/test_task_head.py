# Copyright (c) mmfba authors.
import math

import pytest
import torch
from mmdet.registry import MODELS as MMDET
from mmpretrain.models.heads import LinearClsHead
from mmpretrain.registry import MODELS as MMPRETRAIN
from mmpretrain.structures import DataSample
from specs import make_spec

from mmfba.models.auxiliary import TaskHead
from mmfba.models.backbones import CIFARResNet

BACKBONE = CIFARResNet(20, base_channels=4)
RETINA = dict(
    type='RetinaHead',
    num_classes=3,
    in_channels=16,
    stacked_convs=4,
    feat_channels=16,
    anchor_generator=dict(
        type='AnchorGenerator',
        scales=[1.0],
        ratios=[0.5, 1.0],
        strides=[8, 16],
    ),
    loss_cls=dict(type='FocalLoss', use_sigmoid=True, gamma=1.5),
    loss_bbox=dict(type='L1Loss', loss_weight=3.0),
)
LINEAR = dict(
    type='LinearClsHead',
    num_classes=5,
    in_channels=16,
    loss=dict(type='LabelSmoothLoss', label_smooth_val=0.2),
    cal_acc=True,
)


def make(head, in_channels, **options):
    registry = MMDET if head is RETINA else MMPRETRAIN
    main = registry.build(head)
    spec = make_spec(
        BACKBONE, 'layer1.0', registry, head=dict(head), head_module=main
    )
    return TaskHead(spec, in_channels, **options), main


def shapes(module):
    return {n: tuple(p.shape) for n, p in module.named_parameters()}


def num_parameters(stacked_convs, in_channels, channels):
    """Of a RetinaNet head with 2 anchors and 3 classes."""
    count = 0
    for _ in range(2):  # classification and boxes
        width = in_channels
        for _ in range(stacked_convs):
            count += 9 * width * channels + channels
            width = channels
    return count + 2 * (3 + 4) * (9 * channels + 1)


@pytest.mark.parametrize(
    'options, convs', [(dict(), 4), (dict(stacked_convs=1), 1)]
)
def test_slim(options, convs):
    head, main = make(RETINA, 8, mode='slim', **options)
    assert type(head) is type(main) and head is not main
    count = sum(p.numel() for p in head.parameters())
    assert count == num_parameters(convs, 8, 8)
    assert (head.stacked_convs, head.feat_channels) == (convs, 8)
    cls, boxes = head([torch.rand(1, 8, 4, 4)])
    assert cls[0].shape == (1, 6, 4, 4) and boxes[0].shape == (1, 8, 4, 4)
    # What is not slimmed is the main head's.
    assert head.loss_cls.gamma == 1.5 and head.loss_bbox.loss_weight == 3.0


def test_slim_is_the_default():
    assert shapes(make(RETINA, 8)[0]) == shapes(
        make(RETINA, 8, mode='slim')[0]
    )


@pytest.mark.parametrize('in_channels', [8, 16])
def test_copy_of_a_detection_head(in_channels):
    head, main = make(RETINA, in_channels, mode='copy')
    count = sum(p.numel() for p in head.parameters())
    assert count == num_parameters(4, in_channels, 16)
    assert (shapes(head) == shapes(main)) == (in_channels == 16)
    assert not set(head.parameters()).intersection(main.parameters())


def test_copy_of_a_classifier_computes_its_loss():
    head, main = make(LINEAR, 16, mode='copy')
    assert isinstance(head, LinearClsHead)
    assert not set(head.parameters()).intersection(main.parameters())
    head.load_state_dict(main.state_dict())
    x = (torch.rand(3, 16),)
    samples = [DataSample().set_gt_label(i) for i in (0, 4, 2)]
    got, expected = head.loss(x, samples), main.loss(x, samples)
    assert got.keys() == expected.keys() > {'loss'}  # with the accuracy
    assert torch.equal(got['loss'], expected['loss'])
    assert make(LINEAR, 6, mode='copy')[0].fc.weight.shape == (5, 6)


def test_shared_is_the_main_head():
    for head in (RETINA, LINEAR):
        got, main = make(head, 16, mode='shared')
        assert got is main


@pytest.mark.parametrize('mode', ['slim', 'copy'])
def test_focal_loss_gets_its_bias(mode):
    head, _ = make(RETINA, 8, mode=mode)
    head.init_weights()
    bias = -math.log((1 - 0.01) / 0.01)
    assert torch.allclose(head.retina_cls.bias, torch.tensor(bias))
    assert head.retina_cls.weight.std().item() == pytest.approx(0.01, rel=0.2)


def test_main_config_is_left_alone():
    registry, cfg = MMDET, dict(RETINA)
    main = registry.build(cfg)
    spec = make_spec(
        BACKBONE, 'layer1.0', registry, head=cfg, head_module=main
    )
    for mode in ('slim', 'copy'):
        TaskHead(spec, 8, mode=mode)
    assert cfg == RETINA and cfg['in_channels'] == 16


def test_unknown_mode():
    message = r"head\.mode='thin': choose from \('slim', 'copy', 'shared'\)"
    with pytest.raises(ValueError, match=message):
        make(RETINA, 8, mode='thin')


def test_shared_head_of_another_width():
    message = (
        "mode='shared': the main head takes 16 channels, the auxiliary neck "
        'of module 0 returns 8: set'
    )
    with pytest.raises(ValueError, match=message):
        make(RETINA, 8, mode='shared')


def test_classifier_cannot_be_slim():
    message = "LinearClsHead has no 'feat_channels': use mode='copy'"
    with pytest.raises(ValueError, match=message):
        make(LINEAR, 16, mode='slim')
