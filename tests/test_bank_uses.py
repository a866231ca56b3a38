# Copyright (c) mmfba authors.
import itertools
import math
from pathlib import Path

import pytest
import torch
from mmpretrain.registry import MODELS
from specs import filled_bank, make_spec, run_units

from mmfba.models.backbones import CIFARResNet

ROOT = Path(__file__).parents[1]
BACKBONE = CIFARResNet(20, base_channels=8)
IMAGES = torch.rand(4, 3, 16, 12)
ENDS = ('layer2.2', 'layer3.2')


@pytest.fixture
def necks(monkeypatch):
    monkeypatch.syspath_prepend(ROOT)
    import benchmarks.bank_uses as module

    return module


def make(kind, readable, **options):
    spec = make_spec(
        BACKBONE,
        'layer2.0',
        MODELS,
        readable,
        neck=dict(type='GlobalAveragePooling'),
    )
    return kind(spec, **options)


def run(neck):
    features = run_units(BACKBONE, IMAGES)
    bank = filled_bank(neck.reads, features)
    return features, neck(features['layer2.0'], bank)[0]


def test_each_stage_of_the_slm_adds_the_end_of_the_network_s(necks):
    neck = make(necks.StageEndNeck, ENDS)
    assert neck.reads == ENDS
    features, got = run(neck)
    x = features['layer2.0']
    for stage, end in zip('23', ENDS):
        x = neck.slm.stages[stage](x) + neck.projects[stage](features[end])
    assert torch.allclose(got, x.mean(dim=(2, 3)))


def test_an_end_that_is_not_tapped_is_not_added(necks):
    neck = make(necks.StageEndNeck, ENDS[1:])
    assert neck.reads == ENDS[1:]
    assert [*neck.projects] == ['3']


def test_the_bank_is_dropped_for_some_images_in_some_stages(necks):
    neck = make(necks.StageEndNeck, ENDS, drop=0.5).eval()
    features = run_units(BACKBONE, IMAGES)
    possible = []
    for kept in itertools.product((0, 1), repeat=2):
        x = features['layer2.0']
        for stage, end, factor in zip('23', ENDS, kept):
            added = neck.projects[stage](features[end])
            x = neck.slm.stages[stage](x) + factor * added
        possible.append(x.mean(dim=(2, 3)))
    seen = set()
    for _ in range(20):
        _, got = run(neck)
        for n, row in enumerate(got):
            (which,) = (
                i for i, p in enumerate(possible) if torch.allclose(row, p[n])
            )
            seen.add(which)
    assert len(seen) == 4


def test_attention_starts_as_the_slm_and_is_dot_product_attention(necks):
    readable = ('layer1.0', 'layer1.2')
    neck = make(necks.AttentionNeck, readable, width=6)
    assert neck.reads == readable
    features, got = run(neck)
    *_, x = neck.slm(features['layer2.0']).values()
    x = x.mean(dim=(2, 3))
    assert torch.equal(got, x)
    neck.factor.data.fill_(2)
    _, got = run(neck)
    pixels = [
        torch.nn.functional.adaptive_avg_pool2d(features[name], 4)
        .flatten(2)
        .transpose(1, 2)
        for name in readable
    ]
    keys = torch.cat([k(p) for k, p in zip(neck.keys, pixels)], dim=1)
    values = torch.cat([v(p) for v, p in zip(neck.values, pixels)], dim=1)
    scores = torch.einsum('nc,nkc->nk', neck.query(x), keys) / math.sqrt(6)
    want = x + 2 * torch.einsum('nk,nkc->nc', scores.softmax(1), values)
    assert torch.allclose(got, want, atol=1e-5)


def test_attention_without_an_earlier_entry_is_the_slm(necks):
    neck = make(necks.AttentionNeck, ())
    features, got = run(neck)
    *_, x = neck.slm(features['layer2.0']).values()
    assert torch.equal(got, x.mean(dim=(2, 3)))
