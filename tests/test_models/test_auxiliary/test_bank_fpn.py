# Copyright (c) mmfba authors.
import pytest
import torch
from local_models import build
from mmdet.models.backbones import ResNet
from mmdet.registry import MODELS
from specs import FPN, filled_bank, make_spec, record_inputs, run_units

from mmfba.models.auxiliary import SLMFPN, BankFPN

BACKBONE = ResNet(18, base_channels=8, norm_eval=False)
ENDS = ('layer2.1', 'layer3.1', 'layer4.1')


def make(cut, bank, neck=FPN, **options):
    spec = make_spec(BACKBONE, cut, MODELS, bank, (None, *ENDS), neck)
    return BankFPN(spec, out_channels=10, **options)


@pytest.mark.parametrize(
    'cut, sources, dropped',
    [
        ('stem', ['stem'], 1),
        ('layer1.1', ['layer1.1'], 1),
        ('layer2.0', ['layer2.0'], 0),
        ('layer2.1', ['layer2.1'], 0),
        ('layer3.0', ['layer2.1', 'layer3.0'], 0),
        ('layer3.1', ['layer2.1', 'layer3.1'], 0),
        ('layer4.0', ['layer2.1', 'layer3.1', 'layer4.0'], 0),
    ],
)
def test_levels_are_cut_bank_and_convs(cut, sources, dropped):
    neck = make(cut, [name for name in sources if name != cut])
    assert not list(neck.slm.parameters())
    features = run_units(BACKBONE, torch.rand(2, 3, 64, 96))
    calls = record_inputs(neck.neck)
    pyramid = neck(features[cut], filled_bank(neck.reads, features))
    ((given,),) = calls
    given = [level for level in given if level is not None]
    assert len(given) == len(sources)
    assert all(got is features[name] for got, name in zip(given, sources))
    # P3 to P7 of the image; deeper levels than those given are convs'.
    assert [level.shape[-1] for level in pyramid] == [12, 6, 3, 2, 1]
    convs = neck.neck.fpn_convs[len(sources) :]
    assert len(convs) == 5 + dropped - len(sources)
    assert {conv.conv.stride for conv in convs} == {(2, 2)}


def test_two_passes_give_the_deeper_levels():
    neck = make('layer2.1', ENDS[1:])
    assert neck.reads == ENDS[1:]


def test_other_necks_are_refused():
    message = "is a PAFPN: use type='mmfba.SLMFPN'"
    with pytest.raises(ValueError, match=message):
        make('layer2.0', [], dict(FPN, type='PAFPN'))


@pytest.mark.parametrize('kind', ['FPN', 'mmdet.FPN', 'PAFPN'])
def test_default_of_detectors(kind):
    model = build('detection', dict(neck=dict(type=kind)), num_modules=3)
    expected = SLMFPN if kind == 'PAFPN' else BankFPN
    assert all(type(aux.neck) is expected for aux in model.local_aux)
    for aux in model.local_aux:  # narrow, and as deep as the main head
        assert aux.head.stacked_convs == model.bbox_head.stacked_convs
        assert aux.head.feat_channels == aux.neck.out_channels
