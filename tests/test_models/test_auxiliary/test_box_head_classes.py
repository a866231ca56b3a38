# Copyright (c) mmfba authors.
"""The number of classes that BoxHead finds in the main head."""

import pytest
from mmdet.registry import MODELS
from mmengine.registry import init_default_scope
from strided_features import make_spec
from torch import nn

from mmfba.models.auxiliary import BoxHead

BOX_HEAD = dict(
    type='Shared2FCBBoxHead',
    in_channels=8,
    fc_out_channels=8,
    num_classes=7,
    bbox_coder=dict(type='DeltaXYWHBBoxCoder'),
)
ROIS = dict(
    type='SingleRoIExtractor',
    roi_layer=dict(type='RoIAlign', output_size=7, sampling_ratio=0),
    out_channels=8,
    featmap_strides=[8],
)
ROI_HEAD = dict(
    type='StandardRoIHead', bbox_roi_extractor=ROIS, bbox_head=BOX_HEAD
)
CASCADE = dict(
    type='CascadeRoIHead',
    num_stages=2,
    stage_loss_weights=[1, 0.5],
    bbox_roi_extractor=ROIS,
    bbox_head=[BOX_HEAD, BOX_HEAD],
)
RPN = dict(
    type='RPNHead',
    in_channels=8,
    feat_channels=8,
    anchor_generator=dict(
        type='AnchorGenerator', scales=[8], ratios=[1.0], strides=[8]
    ),
    bbox_coder=dict(type='DeltaXYWHBBoxCoder'),
)
HEADS = {
    'one of one stage': [dict(type='FCOSHead', num_classes=7, in_channels=8)],
    'without anchors': [
        dict(type='YOLOXHead', num_classes=7, in_channels=8, feat_channels=8)
    ],
    'transformer': [dict(type='DETRHead', num_classes=7, embed_dims=8)],
    'two stages': [ROI_HEAD],
    'cascade': [CASCADE],
    'both stages': [RPN, ROI_HEAD],
    'one of a panoptic detector': [
        ROI_HEAD,
        dict(
            type='PanopticFPNHead',
            num_things_classes=7,
            num_stuff_classes=5,
            in_channels=8,
            inner_channels=32,
        ),
    ],
}


def number(head, **options):
    spec = make_spec('c', head_module=head)
    return BoxHead(spec, 8, (16,), **options).num_classes


@pytest.mark.parametrize('name', HEADS)
def test_number_of_classes_is_that_of_the_main_head(name):
    init_default_scope('mmdet')
    heads = [MODELS.build(cfg) for cfg in HEADS[name]]
    head = heads[0] if len(heads) == 1 else nn.ModuleList(heads)
    assert number(head) == 7
    assert number(head, num_classes=9) == 9


def test_number_of_classes_that_is_not_known():
    """A region proposal network tells no classes apart."""
    init_default_scope('mmdet')
    for head in (nn.Identity(), MODELS.build(RPN)):
        name = type(head).__name__
        message = f'{name}, does not tell .* set auxiliary.head.num_classes'
        with pytest.raises(ValueError, match=message):
            number(head)
        assert number(head, num_classes=5) == 5
