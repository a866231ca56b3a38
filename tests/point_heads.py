# Copyright (c) mmfba authors.
"""A head of points and what it is trained on."""

import torch
from mmdet.models.dense_heads import FCOSHead
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData

STRIDES = (4, 8, 16)
SIZE = (64, 96)


def make_head(**options):
    torch.manual_seed(0)
    head = FCOSHead(
        **dict(
            dict(
                num_classes=4,
                in_channels=8,
                feat_channels=8,
                stacked_convs=1,
                strides=STRIDES,
                regress_ranges=((-1, 16), (16, 32), (32, 1e8)),
                norm_cfg=dict(type='GN', num_groups=2),
                norm_on_bbox=True,
                loss_cls=dict(
                    type='mmfba.LeanSigmoidFocalLoss', use_sigmoid=True
                ),
                loss_bbox=dict(type='GIoULoss', loss_weight=1.5),
            ),
            **options,
        )
    ).double()
    for module in head.modules():
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.normal_(module.weight, std=0.2)
    return head


def make_batch(boxes):
    """Images with so many boxes, the second like the first where there are
    several, some partly outside."""
    rng = torch.Generator().manual_seed(sum(boxes))
    samples = []
    for number in boxes:
        centers = torch.rand(number, 2, generator=rng) * torch.tensor(
            SIZE[::-1]
        )
        half = 2 + torch.rand(number, 2, generator=rng) * 40
        corners = torch.cat([centers - half, centers + half], 1)
        if number > 2:
            corners[1] = corners[0]
        labels = torch.randint(4, (number,), generator=rng)
        instances = InstanceData(bboxes=corners, labels=labels)
        samples.append(DetDataSample(gt_instances=instances))
    features = [
        torch.randn(
            len(boxes), 8, *(side // s for side in SIZE), generator=rng
        )
        .double()
        .requires_grad_()
        for s in STRIDES
    ]
    return features, samples
