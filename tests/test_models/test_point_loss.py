# Copyright (c) mmfba authors.
import copy

import pytest
import torch
from mmdet.models.dense_heads import FCOSHead
from point_heads import make_batch, make_head

from mmfba.models import point_targets
from mmfba.models.point_loss import PointLoss, is_point_head


@pytest.fixture
def in_float64(monkeypatch):
    """Boxes too, which FCOSHead casts to float32."""
    monkeypatch.setattr(torch.Tensor, 'float', lambda tensor: tensor)


def outcome(losses, features, head):
    total = sum(losses.values())
    leaves = [*features, *head.parameters()]
    return losses, torch.autograd.grad(total, leaves, allow_unused=True)


def assert_same(got, expected):
    assert got[0].keys() == expected[0].keys()
    for name, value in got[0].items():
        assert torch.allclose(value, expected[0][name], rtol=1e-10), name
    for mine, theirs in zip(got[1], expected[1]):
        assert (mine is None) == (theirs is None)
        if mine is not None:
            assert torch.allclose(mine, theirs, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize('elements', [1, 2**22])
@pytest.mark.parametrize('boxes', [[3, 5], [0, 4], [0, 0], [30, 1, 2]])
@pytest.mark.parametrize('options', [{}, dict(norm_on_bbox=False)])
def test_equals_fcos(options, boxes, elements, monkeypatch, in_float64):
    monkeypatch.setattr(point_targets, 'ELEMENTS', elements)
    head = make_head(**options)
    assert is_point_head(head)
    features, samples = make_batch(boxes)
    everything = slice(0, len(boxes))
    got = PointLoss(head, samples)(features, everything)
    expected = head.loss(features, samples)
    if not sum(boxes):  # FCOSHead: the sum of no values
        assert got['loss_bbox'] == got['loss_centerness'] == 0
    assert_same(
        outcome(got, features, head), outcome(expected, features, head)
    )


def test_parts_sum_up_to_the_batch(in_float64):
    head = make_head()
    features, samples = make_batch([3, 0, 5])
    loss = PointLoss(head, samples)
    parts = [
        loss([f[i : i + 1] for f in features], slice(i, i + 1))
        for i in range(3)
    ]
    got = {key: sum(part[key] for part in parts) for key in parts[0]}
    expected = PointLoss(head, samples)(features, slice(0, 3))
    assert_same(
        outcome(got, features, head), outcome(expected, features, head)
    )


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_under_autocast(dtype):
    head = make_head().float()
    features, samples = make_batch([3, 5])
    features = [f.detach().float() for f in features]
    with torch.autocast('cpu', dtype):
        got = PointLoss(head, samples)(features, slice(0, 2))
    expected = PointLoss(head, samples)(features, slice(0, 2))
    for name, value in got.items():
        assert value.dtype == torch.float32
        assert torch.allclose(value, expected[name], rtol=0.02), name


@pytest.mark.parametrize(
    'options',
    [
        dict(center_sampling=True),
        dict(loss_bbox=dict(type='IoULoss')),
        dict(loss_cls=dict(type='FocalLoss', use_sigmoid=True)),
    ],
)
def test_others_compute_their_loss_themselves(options):
    assert not is_point_head(make_head(**options))


def test_a_subclass_computes_its_loss_itself():
    head = copy.copy(make_head())
    head.__class__ = type('OwnFCOSHead', (FCOSHead,), {})
    assert not is_point_head(head)
