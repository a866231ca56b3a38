# Copyright (c) mmfba authors.
import pytest
import torch
from mmpretrain.registry import MODELS
from specs import filled_bank, make_spec, record_inputs, run_units

from mmfba.models.auxiliary import SLMNeck
from mmfba.models.backbones import CIFARResNet

POOL = dict(type='GlobalAveragePooling')
BACKBONE = CIFARResNet(20, base_channels=8)
IMAGES = torch.rand(2, 3, 16, 12)


def make(cut, readable=(), **options):
    spec = make_spec(BACKBONE, cut, MODELS, readable, neck=POOL)
    return SLMNeck(spec, **options)


def test_simplifies_and_pools():
    neck = make('layer2.0')
    features = run_units(BACKBONE, IMAGES)
    x = features['layer2.0']
    (got,) = neck(x, filled_bank(neck.reads, features))
    assert neck.out_channels == 32
    assert got.shape == (2, 32)
    (made,) = [f for s, f in neck.slm(x).items() if s == 3]
    assert torch.allclose(got, made.mean(dim=(2, 3)))


@pytest.mark.parametrize(
    'options, width',
    [
        (dict(), 32),
        (dict(mode='stage_tail'), 16),
        (dict(channel_ratio=0.5), 16),
        (dict(mode='stage_tail', channel_ratio=0.5), 8),
    ],
)
def test_out_channels(options, width):
    neck = make('layer2.1', **options)
    x = run_units(BACKBONE, IMAGES)['layer2.1']
    assert neck.out_channels == width
    assert neck(x, filled_bank((), {}))[0].shape == (2, width)


def test_by_default_the_bank_is_not_read():
    neck = make('layer2.0', ['stem.pooled'])
    assert neck.reads == ()
    assert not list(neck.fusion.parameters())


@pytest.mark.parametrize('fusion', ['add', 'concat', 'gate'])
def test_fuses_pooled_features_of_the_bank(fusion):
    readable = ('stem.pooled', 'layer1.2.pooled')
    neck = make('layer2.0', readable, fusion=fusion)
    assert neck.reads == readable
    features = run_units(BACKBONE, IMAGES)
    calls = record_inputs(neck.fusion)
    bank = filled_bank(neck.reads, features)
    (got,) = neck(features['layer2.0'], bank)
    assert got.shape == (2, 32)
    ((x, entries),) = calls
    assert x.shape == (2, 32)
    for entry, name in zip(entries, ('stem', 'layer1.2')):
        assert torch.equal(entry, features[name].mean(dim=(2, 3)))


def test_pooled_neck_refuses_maps():
    with pytest.raises(ValueError, match="'stem' cannot .* 'stem.pooled'"):
        make('layer2.0', ['stem'], fusion='add')


@pytest.mark.parametrize(
    'net, taps', [('EDSRNet', ('stem',)), ('MSRResNet', ('input', 'stem'))]
)
def test_without_a_main_neck_maps_are_fused(net, taps):
    from mmagic.models import editors

    backbone = getattr(editors, net)(3, 3, 8, num_blocks=3, upscale_factor=2)
    cut = [*run_units(backbone, IMAGES)][-2]
    neck = SLMNeck(make_spec(backbone, cut, None, taps), fusion='add')
    features = run_units(backbone, IMAGES)
    calls = record_inputs(neck.fusion)
    (got,) = neck(features[cut], filled_bank(neck.reads, features))
    assert neck.reads == taps
    assert got.shape == (2, 8, 16, 12)
    ((x, entries),) = calls
    for entry, name in zip(entries, taps):
        assert entry is features[name]
    if taps == ('stem',):
        assert torch.equal(got, x + features['stem'])


def test_maps_refuse_pooled_features():
    from mmagic.models.editors import EDSRNet

    backbone = EDSRNet(3, 3, 8, num_blocks=3, upscale_factor=2)
    spec = make_spec(backbone, 'body.0', None, ['stem.pooled'])
    with pytest.raises(ValueError, match="tap 'stem'"):
        SLMNeck(spec, fusion='concat')


def test_unknown_fusion():
    with pytest.raises(ValueError, match="fusion='sum': choose from"):
        make('layer2.0', fusion='sum')
