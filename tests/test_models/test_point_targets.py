# Copyright (c) mmfba authors.
import copy
from unittest.mock import patch

import pytest
import torch
from local_models import build, raw_data
from point_heads import SIZE, STRIDES, make_batch, make_head

from mmfba.engine.optim_wrappers import LocalLearningOptimWrapper
from mmfba.models import point_targets
from mmfba.models.point_targets import PointTargets

SIZES = tuple((SIZE[0] // s, SIZE[1] // s) for s in STRIDES)


def find(targets, head, samples, sizes=SIZES):
    return targets.of(head, sizes, torch.zeros(0), samples)


@pytest.fixture
def counted():
    with patch.object(
        point_targets, '_find', wraps=point_targets._find
    ) as function:
        yield function


def test_heads_of_a_step_share_their_targets(counted):
    targets, (_, samples) = PointTargets(), make_batch([3, 0])
    heads = [make_head() for _ in range(3)]
    with targets.of_batch(samples):
        first, *others = (find(targets, head, samples) for head in heads)
    assert counted.call_count == 1
    assert all(other is first for other in others)
    find(targets, heads[0], samples)  # nothing is kept
    assert counted.call_count == 2


@pytest.mark.parametrize(
    'options',
    [
        dict(norm_on_bbox=False),
        dict(num_classes=7),
        dict(regress_ranges=((-1, 64), (64, 80), (80, 1e8))),
    ],
)
def test_other_heads_have_their_own(options, counted):
    targets, (_, samples) = PointTargets(), make_batch([3, 4])
    with targets.of_batch(samples):
        found = [
            find(targets, head, samples)
            for head in (make_head(), make_head(**options))
        ]
    assert counted.call_count == 2
    assert any(not a.equal(b) for a, b in zip(found[0][:3], found[1][:3]))


def test_other_images_have_their_own():
    targets, head = PointTargets(), make_head()
    (_, samples), (_, others) = make_batch([3]), make_batch([4])
    with targets.of_batch(samples):
        kept = find(targets, head, samples)
        assert not find(targets, head, others).labels.equal(kept.labels)
        assert find(targets, head, samples) is kept


def test_a_canvas_has_no_box_between_its_maps():
    head, (_, samples) = make_head(), make_batch([30])
    apart = find(PointTargets(), head, samples)
    head.on_canvas = True
    found = find(PointTargets(), head, samples)
    on_map = found.weights[0, 0] == 1
    assert on_map.sum() == apart.labels.shape[1] < len(on_map)
    assert not found.positive[:, ~on_map].any()
    assert found.positive.sum() == apart.positive.sum() > 0
    assert found.count == apart.count
    torch.testing.assert_close(found.sum, apart.sum)
    assert not found.distances.transpose(1, 2)[found.positive > 0].lt(0).any()


def test_a_step_finds_them_once(counted):
    model = build(
        'detection',
        num_modules=4,
        auxiliary=dict(head=dict(type='mmfba.BoxHead')),
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    for step in (1, 2):
        model.train_step(
            raw_data('detection'), LocalLearningOptimWrapper(optimizer)
        )
        assert counted.call_count == step
    assert copy.deepcopy(model).point_targets is not model.point_targets
