# Copyright (c) mmfba authors.
import copy

import pytest
import torch
from toy_chain import Backbone, make_chain

from mmfba.local import INPUT, FeatureSpec, probe_features


def freeze(backbone, *names):
    for name in names:
        getattr(backbone, name).requires_grad_(False)
    return make_chain(backbone)


def test_names_and_index():
    chain = make_chain(Backbone())
    assert chain.names == [INPUT, 'stem', 'a', 'b', 'c']


def test_unit_parameters_are_those_of_its_modules():
    backbone = Backbone()
    unit = make_chain(backbone).units[2]
    expected = list(backbone.b.parameters())
    got = list(unit.parameters())
    assert len(got) == len(expected) == 4
    assert all(a is b for a, b in zip(got, expected))


@pytest.mark.parametrize(
    'frozen, first', [((), 0), (('stem',), 1), (('stem', 'a', 'b'), 3)]
)
def test_first_trained_follows_the_frozen_prefix(frozen, first):
    assert freeze(Backbone(), *frozen).first_trained() == first


def test_a_partly_frozen_unit_is_trained():
    backbone = Backbone()
    backbone.stem[0].requires_grad_(False)  # its norm is still trained
    assert make_chain(backbone).first_trained() == 0


def test_all_frozen():
    chain = freeze(Backbone(), 'stem', 'a', 'b', 'c')
    with pytest.raises(ValueError, match='All units .* are frozen'):
        chain.first_trained()


@pytest.mark.parametrize(
    'frozen, late, trained',
    [
        (('b',), 'b', 'stem'),
        (('c',), 'c', 'stem'),
        (('stem', 'b', 'c'), 'b', 'a'),
    ],
)
def test_frozen_behind_a_trained_unit(frozen, late, trained):
    chain = freeze(Backbone(), *frozen)
    message = f'Unit {late!r} is frozen although {trained!r} before it'
    with pytest.raises(ValueError, match=message):
        chain.first_trained()


def test_probe_features():
    specs = probe_features(Backbone(), make_chain)
    assert list(specs.items()) == [
        ('input', FeatureSpec('input', 0, 3, 1)),
        ('stem', FeatureSpec('stem', 0, 4, 1)),
        ('a', FeatureSpec('a', 1, 4, 1)),
        ('b', FeatureSpec('b', 1, 6, 1)),
        ('c', FeatureSpec('c', 2, 8, 2)),
    ]


def test_probe_features_leaves_the_backbone_alone():
    backbone = Backbone(dropout=0.5)
    backbone.b.eval()
    before = copy.deepcopy(backbone)
    torch.manual_seed(0)
    state = torch.get_rng_state()
    probe_features(backbone, make_chain)
    assert torch.equal(torch.get_rng_state(), state)
    assert [m.training for m in backbone.modules()] == [
        m.training for m in before.modules()
    ]
    for name, tensor in before.state_dict().items():
        assert torch.equal(backbone.state_dict()[name], tensor), name
