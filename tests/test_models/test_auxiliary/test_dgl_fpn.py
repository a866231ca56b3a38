# Copyright (c) mmfba authors.
import math

import pytest
import torch
import torch.nn.functional as F
from local_models import build, raw_data
from mmdet.models.backbones import ResNet
from mmdet.registry import MODELS
from specs import FPN, filled_bank, make_spec, record_inputs, run_units

from mmfba.engine.optim_wrappers import LocalLearningOptimWrapper
from mmfba.models.auxiliary import DGLFPN

BACKBONE = ResNet(18, base_channels=8, norm_eval=False)
BACKBONE.train()
ENDS = (None, 'layer2.1', 'layer3.1', 'layer4.1')


def make(cut, **options):
    spec = make_spec(BACKBONE, cut, MODELS, (), ENDS, FPN)
    return DGLFPN(spec, **options).double()


@pytest.mark.parametrize('cut', ['stem', 'layer2.0', 'layer4.0'])
@pytest.mark.parametrize('size', [(64, 96), (72, 56)])
def test_levels_and_pyramid_are_those_of_the_equation(cut, size):
    neck = make(cut, out_channels=10)
    rng = torch.Generator().manual_seed(0)
    images = torch.rand(2, 3, *size, generator=rng)
    features = run_units(BACKBONE, images)
    x = features[cut].double()
    height, width = (math.ceil(side / 4) for side in x.shape[2:])
    h = F.adaptive_avg_pool2d(x, (height, width))
    weights = list(neck.convs.parameters())
    for conv, scale, shift in zip(weights[::3], weights[1::3], weights[2::3]):
        h = F.conv2d(h, conv)
        mean, var = h.mean((0, 2, 3)), h.var((0, 2, 3), unbiased=False)
        h = (h - mean[:, None, None]) / (var + 1e-5).sqrt()[:, None, None]
        h = F.relu(h * scale[:, None, None] + shift[:, None, None])
    calls = record_inputs(neck.neck)
    pyramid = neck(x, filled_bank(neck.reads, features))
    ((given,),) = calls
    assert given[0] is None
    levels = []
    for level, name in zip(given[1:], ENDS[1:]):
        shape = features[name].shape[2:]
        expected = (
            F.adaptive_avg_pool2d(h, shape)
            if h.shape[2] > shape[0]
            else F.interpolate(h, shape, mode='bilinear')
        )
        torch.testing.assert_close(level, expected)
        levels.append(expected)
    assert len(pyramid) == 5 and pyramid[0].shape[1] == 10
    # The slim FPN is mmdet's own, so is what it does with these levels.
    parameters = list(neck.parameters())
    gradients = (
        torch.autograd.grad(sum(p.square().sum() for p in maps), parameters)
        for maps in (pyramid, neck.neck((None, *levels)))
    )
    torch.testing.assert_close(*gradients)
    assert pyramid[0].shape[2:] == features['layer2.1'].shape[2:]


def test_out_channels_are_slim_by_default():
    assert make('stem').out_channels == 12
    assert make('stem', out_channels=8).neck.out_channels == 8


@pytest.mark.parametrize('neck', [None, dict(type='GlobalAveragePooling')])
def test_without_a_neck_of_a_detector_it_is_refused(neck):
    with pytest.raises(
        ValueError, match='this auxiliary neck copies the neck'
    ):
        DGLFPN(make_spec(BACKBONE, 'stem', MODELS, (), ENDS, neck))


def test_a_step_trains_every_module():
    model = build(
        'detection',
        num_modules=4,
        auxiliary=dict(neck=dict(type='mmfba.DGLFPN')),
    )
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    logs = model.train_step(
        raw_data('detection'), LocalLearningOptimWrapper(optimizer)
    )
    assert all(value.isfinite() for value in logs.values())
    convs = {
        name: p
        for name, p in model.named_parameters()
        if p.ndim > 1 and 'neck.convs' in name
    }
    assert len(convs) == 9  # three in each of three
    for name, p in convs.items():
        assert not p.equal(before[name]), name
