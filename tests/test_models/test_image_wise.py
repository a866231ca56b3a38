# Copyright (c) mmfba authors.
"""Chunks of images give the losses and gradients of the whole batch."""

import copy

import pytest
import torch
from local_models import (
    FAMILIES,
    bare_loss,
    build,
    data,
    gradients,
    losses,
    raw_data,
)
from mmdet.testing import demo_mm_inputs
from mmengine.registry import DefaultScope

from mmfba.models.image_wise import ImageWiseHeadLoss, ImageWisePixelLoss
from mmfba.models.normalisers import NORMALISERS
from mmfba.registry import MODELS as LOCAL

ARMS = {
    'plain': dict(num_modules=1),
    'slim heads': dict(num_modules=3),
    'copied heads': dict(
        num_modules=3, auxiliary=dict(head=dict(mode='copy'))
    ),
    'two passes': dict(num_modules=3, partition='uniform', timing='two_pass'),
}
SHARED = dict(
    detection=dict(neck=dict(out_channels=16), head=dict(mode='shared')),
    **{'super-resolution': dict(head=dict(mode='shared'))},
)
tasks = pytest.mark.parametrize('task', list(SHARED))


def assert_same_step(model, whole, batch, tolerance=1e-10):
    """One step of both on a batch as the data loader gives it."""
    logs, grads = [], []
    for m in (model, whole):
        processed = m.data_preprocessor(copy.deepcopy(batch), True)
        total, values = m.parse_losses(bare_loss(m, processed))
        total.backward()
        logs.append(values)
        grads.append(gradients(m))
    for name, value in logs[1].items():
        got = float(logs[0][name])
        assert got == pytest.approx(float(value), rel=tolerance), name
    for name, grad in grads[1].items():
        torch.testing.assert_close(
            grads[0][name],
            grad,
            rtol=tolerance,
            atol=tolerance * 0.01,
            msg=name,
        )


def test_a_detector_with_a_loss_of_its_own_has_no_chunks():
    """The head alone, some images at a time, would leave it out."""
    from mmdet.models import RetinaNet
    from mmdet.registry import MODELS

    class Weighted(RetinaNet):
        def loss(self, *args, **kwargs):
            losses = super().loss(*args, **kwargs)
            return {**losses, 'loss_more': sum(losses['loss_cls'])}

    MODELS.register_module(module=Weighted)
    try:
        made = dict(FAMILIES['detection'][1], type='mmfba.LocalWeighted')
        with DefaultScope.overwrite_default_scope('mmdet'):
            build_from(made, num_modules=3)
            with pytest.raises(ValueError, match='LocalWeighted has no image'):
                build_from(made, num_modules=3, chunk=1)
    finally:
        MODELS.module_dict.pop('Weighted')
        LOCAL.module_dict.pop('LocalWeighted', None)


def build_from(cfg, **local_learning):
    return LOCAL.build(copy.deepcopy(dict(cfg, local_learning=local_learning)))


@tasks
@pytest.mark.parametrize('num_modules', [1, 3])
def test_with_modules_that_are_recomputed(task, num_modules):
    options = dict(num_modules=num_modules)
    model = build(task, chunk=1, checkpoint=True, **options).double()
    whole = build(task, **options).double()
    assert_same_step(model, whole, raw_data(task))


@pytest.mark.parametrize('chunk', [1, 3])
@pytest.mark.parametrize('arm', [*ARMS, 'shared head'])
@tasks
def test_gradients_equal_those_of_the_whole_batch(task, arm, chunk):
    options = ARMS.get(arm) or dict(num_modules=3, auxiliary=SHARED[task])
    model = build(task, chunk=chunk, **options).double()
    whole = build(task, **options).double()
    assert_same_step(model, whole, raw_data(task))


def test_images_of_several_sizes_and_one_without_boxes():
    models = [
        build('detection', num_modules=3, **options).double()
        for options in (dict(chunk=2), {})
    ]
    batch = demo_mm_inputs(
        5,
        [[3, 64, 96], [3, 96, 64], [3, 40, 50], [3, 64, 64], [3, 96, 96]],
        num_items=[3, 1, 0, 7, 2],
        num_classes=4,
    )
    assert_same_step(*models, batch)


@pytest.mark.parametrize(
    'head',
    [
        dict(loss_bbox=dict(type='SmoothL1Loss', beta=0.11)),
        dict(loss_bbox=dict(type='GIoULoss'), reg_decoded_bbox=True),
        dict(loss_cls=dict(type='FocalLoss', use_sigmoid=True)),
        dict(loss_cls=dict(type='CrossEntropyLoss', use_sigmoid=True)),
        dict(norm_cfg=dict(type='GN', num_groups=4)),
    ],
    ids=lambda head: ' '.join(head),
)
def test_options_of_the_head(head):
    models = [
        build('detection', dict(bbox_head=head), num_modules=2, **o).double()
        for o in (dict(chunk=1), {})
    ]
    # Sums in another order, over large losses in single precision.
    assert_same_step(*models, raw_data('detection'), 1e-6)


@pytest.mark.parametrize(
    'task, neck',
    [
        ('detection', dict(type='mmfba.DGLFPN')),
        ('super-resolution', dict(type='mmfba.ConvNeck', method='dgl')),
    ],
)
def test_necks_of_the_peers(task, neck):
    models = [
        build(task, num_modules=3, auxiliary=dict(neck=neck), **o).double()
        for o in (dict(chunk=1), {})
    ]
    assert_same_step(*models, raw_data(task), 1e-6)


@pytest.mark.parametrize('boxes', [[3, 1, 0, 7, 2], [0, 0, 0, 0, 0]])
@pytest.mark.parametrize('options', [{}, dict(center_sampling=True)])
def test_fcos(options, boxes):
    head = dict(
        _delete_=True,
        type='FCOSHead',
        num_classes=4,
        in_channels=16,
        stacked_convs=1,
        feat_channels=16,
        norm_cfg=dict(type='GN', num_groups=4),
        **options,
    )
    models = [
        build('detection', dict(bbox_head=head), num_modules=3, **o).double()
        for o in (dict(chunk=2), {})
    ]
    batch = demo_mm_inputs(
        5, [[3, 96, 96]] * 5, num_items=boxes, num_classes=4
    )
    # The head sums centerness in single precision.
    assert_same_step(*models, batch, 1e-5)


@tasks
def test_whole_batch_is_upstreams_own_loss(task):
    model = build(task, chunk=4, num_modules=1)
    plain = build(task)
    total, _ = losses(model, task)
    expected, _ = losses(plain, task)
    assert total.equal(expected)


@pytest.mark.parametrize(
    'part, options, words',
    [
        ('bbox_head', dict(type='FSAFHead'), 'FSAFHead'),
        (
            'bbox_head',
            dict(type='RetinaSepBNHead', num_ins=5, norm_cfg=dict(type='BN')),
            'cls_convs',
        ),
        ('bbox_head', dict(loss_cls=dict(type='GHMC')), 'loss_cls=GHMC'),
        ('bbox_head', dict(norm_cfg=dict(type='BN')), 'batch'),
        ('neck', dict(norm_cfg=dict(type='BN')), r'FPN\.\S+ normalises'),
        (
            'train_cfg',
            dict(sampler=dict(type='RandomSampler', num=64, pos_fraction=0.5)),
            'samples anchors at random',
        ),
    ],
    ids=['family', 'own', 'element-wise', 'BN in head', 'BN in neck', 'some'],
)
def test_what_is_not_exact_is_refused_by_name(part, options, words):
    with pytest.raises(ValueError, match=r'local_learning\.chunk.*' + words):
        build('detection', {part: options}, num_modules=2, chunk=1)


def test_unknown_pixel_loss_is_refused():
    with pytest.raises(ValueError, match='pixel_loss=CharbonnierCompLoss'):
        build(
            'super-resolution',
            dict(pixel_loss=dict(type='CharbonnierCompLoss')),
            num_modules=2,
            chunk=1,
        )


def test_classification_has_no_image_wise_loss():
    with pytest.raises(ValueError, match='LocalImageClassifier has no'):
        build('classification', num_modules=2, chunk=1)


@pytest.mark.parametrize('chunk', [0, -1, 1.5, True, 'two'])
def test_wrong_chunk(chunk):
    with pytest.raises(ValueError, match=r'local_learning\.chunk=.*integer'):
        build('detection', num_modules=2, chunk=chunk)


def test_parts_sum_up_to_the_loss_of_a_summing_pixel_loss():
    from mmagic.models.losses import L1Loss

    images = torch.rand(5, 3, 4, 4).double()
    made = torch.rand(5, 3, 4, 4).double()
    for reduction in ('mean', 'sum'):
        loss = ImageWisePixelLoss(L1Loss(reduction=reduction), images)
        rows = [slice(0, 2), slice(2, 4), slice(4, 6)]
        parts = sum(loss(made[r], r)['loss'] for r in rows)
        expected = L1Loss(reduction=reduction)(made, images)
        assert parts.item() == pytest.approx(expected.item(), rel=1e-12)


def test_normaliser_is_counted_once_a_step(monkeypatch):
    model = build('detection', num_modules=1)
    batch = data(model, 'detection')
    features = model.extract_feat(batch['inputs'])
    calls = []
    find = NORMALISERS['AnchorHead']
    monkeypatch.setitem(
        NORMALISERS,
        'AnchorHead',
        lambda *args: calls.append(1) or find(*args),
    )
    loss = ImageWiseHeadLoss(model.bbox_head, batch['data_samples'])
    for i in range(4):
        rows = slice(i, i + 1)
        loss(tuple(f[rows] for f in features), rows)
    assert calls == [1]
