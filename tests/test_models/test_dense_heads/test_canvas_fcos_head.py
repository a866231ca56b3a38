# Copyright (c) mmfba authors.
import pytest
import torch
from mmdet.models.dense_heads import FCOSHead
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData

from mmfba.models.dense_heads import CanvasFCOSHead
from mmfba.models.point_loss import PointLoss

SIZE = (64, 96)
STRIDES = (4, 8, 16)
NORM = dict(type='mmfba.ChannelNorm')


def make(kind, strides, norm_cfg):
    ends = [-1, *(8 * s for s in strides[:-1]), 1e8]
    head = kind(
        num_classes=3,
        in_channels=4,
        feat_channels=4,
        stacked_convs=2,
        strides=strides,
        regress_ranges=list(zip(ends[:-1], ends[1:])),
        norm_on_bbox=True,
        conv_bias=True,
        norm_cfg=norm_cfg,
        loss_cls=dict(type='mmfba.LeanSigmoidFocalLoss', use_sigmoid=True),
        loss_bbox=dict(type='GIoULoss'),
    ).double()
    rng = torch.Generator().manual_seed(0)
    for name, weight in sorted(head.named_parameters()):
        noise = torch.randn(weight.shape, generator=rng).double()
        weight.data.copy_(1 + noise if 'scale' in name else 0.3 * noise)
    return head


def make_batch(strides):
    rng = torch.Generator().manual_seed(1)
    boxes = torch.tensor([[4.0, 4, 24, 20], [8, 8, 90, 60], [30, 2, 44, 40]])
    empty = InstanceData(bboxes=boxes[:0], labels=torch.empty(0).long())
    full = InstanceData(bboxes=boxes, labels=torch.tensor([0, 2, 1]))
    samples = [DetDataSample(gt_instances=gt) for gt in (full, empty)]
    maps = [
        torch.randn(2, 4, *(side // s for side in SIZE), generator=rng)
        for s in strides
    ]
    return [m.double().requires_grad_() for m in maps], samples


@pytest.mark.parametrize(
    'strides, norm_cfg',
    [(STRIDES, NORM), (STRIDES, None), ((8,), NORM)],
    ids=['levels', 'plain', 'level'],
)
def test_equals_fcos_head(strides, norm_cfg, monkeypatch):
    monkeypatch.setattr(torch.Tensor, 'float', lambda tensor: tensor)
    results = []
    for kind in (CanvasFCOSHead, FCOSHead):
        head = make(kind, strides, norm_cfg)
        features, samples = make_batch(strides)
        if kind is FCOSHead:
            losses = head.loss(features, samples)
        else:
            losses = PointLoss(head, samples)(features, slice(0, 2))
        sum(losses.values()).backward()
        grads = {n: p.grad for n, p in head.named_parameters()}
        grads.update(enumerate(f.grad for f in features))
        results.append((losses, grads))
    assert min(results[0][0].values()) > 0
    for got, expected in zip(*results):
        assert got.keys() == expected.keys()
        for key, value in got.items():
            torch.testing.assert_close(
                value, expected[key], rtol=1e-9, atol=1e-12
            )


def test_a_config_can_name_it():
    cfg = dict(type='mmfba.CanvasFCOSHead', num_classes=2, in_channels=8)
    assert isinstance(MODELS.build(dict(cfg, norm_on_bbox=True)), FCOSHead)
    for options in ({}, dict(norm_on_bbox=True, centerness_on_reg=True)):
        with pytest.raises(ValueError, match='set norm_on_bbox=True'):
            MODELS.build(dict(cfg, **options))


def test_each_layer_runs_once_for_all_levels():
    head = make(CanvasFCOSHead, STRIDES, NORM)
    calls = []
    for name, layer in head.named_modules():
        if next(layer.children(), None) is None and list(layer.parameters()):
            layer.register_forward_hook(
                lambda *_, name=name: calls.append(name)
            )
    features, samples = make_batch(STRIDES)
    PointLoss(head, samples)(features, slice(0, 2))
    assert 'cls_convs.1.ln' in calls and 'conv_reg' in calls
    assert len(calls) == len(set(calls)) == 11
