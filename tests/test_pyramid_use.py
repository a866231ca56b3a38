# Copyright (c) mmfba authors.
from pathlib import Path

import pytest
import torch
from mmdet.models.backbones import ResNet
from mmdet.registry import MODELS
from specs import FPN, filled_bank, make_spec, run_units
from torch.nn.functional import interpolate

from mmfba.models.auxiliary import SLMFPN

BACKBONE = ResNet(18, base_channels=8, norm_eval=False)
BACKBONE.train()
CUT = 'layer3.0'
OUTPUTS = (None, 'layer2.1', 'layer3.1', 'layer4.1')
IMAGES = torch.rand(16, 3, 64, 96)


@pytest.fixture
def made(monkeypatch):
    """The neck, its FBA without the main FPN, and the main FPN."""
    monkeypatch.syspath_prepend(Path(__file__).parents[1])
    import benchmarks.pyramid_use as module

    def spec(readable):
        return make_spec(BACKBONE, CUT, MODELS, readable, OUTPUTS, FPN)

    options = dict(mode='stage_tail', out_channels=10)
    neck = module.CrossScaleNeck(spec(OUTPUTS[1:]), **options)
    plain = SLMFPN(spec(OUTPUTS[1:2]), **options)
    keys = plain.load_state_dict(neck.state_dict(), strict=False)
    assert not keys.missing_keys
    assert {k.split('.')[0] for k in keys.unexpected_keys} == {'projects'}
    return neck.eval(), plain.eval(), neck.main_fpn[0]


def run(neck):
    features = run_units(BACKBONE, IMAGES)
    bank = filled_bank(neck.reads, features)
    return features, neck(features[CUT], bank)


def test_it_starts_as_causal_fba_and_reads_all_outputs(made):
    neck, plain, _ = made
    assert plain.reads == OUTPUTS[1:2]
    assert neck.reads == OUTPUTS[1:]
    for got, want in zip(run(neck)[1], run(plain)[1]):
        assert torch.equal(got, want)


def test_each_level_adds_the_next_deeper_one_for_some_images(made):
    neck, plain, main = made
    for project in neck.projects:
        torch.nn.init.normal_(project.weight)
    features, got = run(neck)
    own = run(plain)[1]
    levels = main(tuple(name and features[name] for name in OUTPUTS))
    added = []
    for n, level in enumerate([*levels[1:], levels[-1]]):
        level = interpolate(level, size=own[n].shape[2:])
        added.append(own[n] + neck.projects[n](level))
    kept = [bool(got[0][n].allclose(added[0][n])) for n in range(16)]
    assert 0 < sum(kept) < 16
    for level in range(len(own)):
        for n in range(16):
            want = added if kept[n] else own
            assert got[level][n].allclose(want[level][n], atol=1e-6)


def test_the_main_fpn_is_not_trained_from_there(made):
    neck, _, main = made
    for project in neck.projects:
        torch.nn.init.normal_(project.weight)
    _, got = run(neck)
    sum(level.sum() for level in got).backward()
    assert all(p.grad is None for p in main.parameters())
    assert neck.projects[0].weight.grad.any()
    assert not {*main.parameters()} & {*neck.parameters()}
