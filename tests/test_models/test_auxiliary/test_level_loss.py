# Copyright (c) mmfba authors.
"""The local loss of MAN++ in detection: focal loss and L1 on the anchors of
its levels, of which none is given to a box that overlaps none of them."""

import itertools
import math

import pytest
import torch
import torch.nn.functional as F
from local_models import build
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData
from peers import MAN_LEVEL

SIDE, CLASSES = 128, 4
BOXES = [
    # The first overlaps anchors of stride 8 by half or more, the second those
    # of stride 16, the third those of 32; the last is too small for all.
    [[40.0, 37, 74, 71], [30, 20, 95, 90], [3, 5, 124, 120], [7, 7, 12, 11]],
    [[50.0, 61, 90, 99], [1, 2, 5, 6]],
]
LABELS = [[0, 3, 1, 2], [2, 1]]


def anchors_of(stride):
    """Centre and size of each, in the order of the head's channels."""
    cells = range(0, SIDE, stride)
    for y, x in itertools.product(cells, cells):
        for ratio, octave in itertools.product((0.5, 1.0, 2.0), range(3)):
            side = 4 * stride * 2 ** (octave / 3)
            yield x, y, side / math.sqrt(ratio), side * math.sqrt(ratio)


def iou(anchor, box):
    x, y, w, h = anchor
    left, top = max(x - w / 2, box[0]), max(y - h / 2, box[1])
    right, bottom = min(x + w / 2, box[2]), min(y + h / 2, box[3])
    common = max(right - left, 0) * max(bottom - top, 0)
    area = (box[2] - box[0]) * (box[3] - box[1])
    return common / (w * h + area - common)


def deltas(anchor, box):
    x, y, w, h = anchor
    x1, y1, x2, y2 = box
    return torch.tensor(
        [
            ((x1 + x2) / 2 - x) / w,
            ((y1 + y2) / 2 - y) / h,
            math.log((x2 - x1) / w),
            math.log((y2 - y1) / h),
        ]
    ).double()


def expected_losses(scores, boxes, strides):
    """Of the head's maps, for each stride."""
    focal, l1, positives = 0.0, 0.0, 0
    for image, (targets, labels) in enumerate(zip(BOXES, LABELS)):
        found = 0
        for score, delta, stride in zip(scores, boxes, strides):
            score = score[image].permute(1, 2, 0).reshape(-1, CLASSES)
            delta = delta[image].permute(1, 2, 0).reshape(-1, 4)
            for anchor, s, d in zip(anchors_of(stride), score, delta):
                overlaps = [iou(anchor, box) for box in targets]
                best = max(range(len(targets)), key=overlaps.__getitem__)
                if 0.4 <= overlaps[best] < 0.5:
                    continue
                for label, logit in enumerate(s):
                    p = torch.sigmoid(logit)
                    if overlaps[best] >= 0.5 and label == labels[best]:
                        focal = focal - 0.25 * (1 - p) ** 2 * F.logsigmoid(
                            logit
                        )
                    else:
                        focal = focal - 0.75 * p**2 * F.logsigmoid(-logit)
                if overlaps[best] >= 0.5:
                    found += 1
                    l1 = l1 + (d - deltas(anchor, targets[best])).abs().sum()
        positives += max(found, 1)
    return focal / positives, l1 / positives


@pytest.mark.parametrize('module', [0, 1, 2])
def test_loss_and_gradients_are_those_of_the_equations(module):
    torch.manual_seed(0)
    model = build('detection', partition='stage', auxiliary=MAN_LEVEL).double()
    head = model.local_aux[module].host.head
    strides = [[8], [16], [32, 64, 128]][module]
    levels = [
        torch.randn(2, 16, SIDE // s, SIDE // s).double().requires_grad_()
        for s in strides
    ]
    found = head.loss(tuple(levels), _samples())
    # Of the last levels each has its own term.
    classes, l1 = (
        sum(found[key]) if isinstance(found[key], list) else found[key]
        for key in ('loss_cls', 'loss_bbox')
    )
    expected = expected_losses(*head(tuple(levels)), strides)
    assert expected[1] > 0  # some anchor has a box
    for loss, other in zip((classes, l1), expected):
        torch.testing.assert_close(loss, other)
    inputs = [*levels, *head.parameters()]
    for gradient, other in zip(
        torch.autograd.grad(classes + l1, inputs),
        torch.autograd.grad(sum(expected), inputs),
    ):
        torch.testing.assert_close(gradient, other)


def _samples():
    batch = []
    for boxes, labels in zip(BOXES, LABELS):
        sample = DetDataSample()
        shape = (SIDE, SIDE)
        sample.set_metainfo(
            dict(img_shape=shape, pad_shape=shape, batch_input_shape=shape)
        )
        sample.gt_instances = InstanceData(
            bboxes=torch.tensor(boxes).double(), labels=torch.tensor(labels)
        )
        batch.append(sample)
    return batch
