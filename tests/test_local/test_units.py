# Copyright (c) mmfba authors.
import pytest
from toy_network import Backbone

from mmfba.local import FeatureSpec
from mmfba.local.probe import probe
from mmfba.local.unit_finder import find_units


def find(backbone, *frozen):
    for name in frozen:
        getattr(backbone, name).requires_grad_(False)
    return find_units(probe(backbone, [16])).trained_in(backbone)


def test_names_and_features():
    anatomy = find(Backbone())
    assert [
        (f.name, f.stage, f.channels, f.stride)
        for f in anatomy.features.values()
    ] == [('stem', 0, 4, 1), ('a', 1, 4, 1), ('b', 1, 6, 1), ('c', 2, 8, 2)]
    assert all(isinstance(f, FeatureSpec) for f in anatomy.features.values())


def test_unit_parameters_are_those_of_its_modules():
    unit = find(Backbone()).units[2]
    assert sorted(unit.parameters) == [
        f'b.{i}.{name}' for i in (0, 1) for name in ('bias', 'weight')
    ]


@pytest.mark.parametrize(
    'frozen, first', [((), 0), (('stem',), 1), (('stem', 'a', 'b'), 3)]
)
def test_first_trained_follows_the_frozen_prefix(frozen, first):
    assert find(Backbone(), *frozen).first_trained() == first


def test_a_partly_frozen_unit_is_trained():
    backbone = Backbone()
    backbone.stem[0].requires_grad_(False)  # its norm is still trained
    assert find(backbone).first_trained() == 0


def test_all_frozen():
    anatomy = find(Backbone(), 'stem', 'a', 'b', 'c')
    with pytest.raises(ValueError, match='All units .* are frozen'):
        anatomy.first_trained()


@pytest.mark.parametrize(
    'frozen, late, trained',
    [
        (('b',), 'b', 'stem'),
        (('c',), 'c', 'stem'),
        (('stem', 'b', 'c'), 'b', 'a'),
    ],
)
def test_frozen_behind_a_trained_unit(frozen, late, trained):
    anatomy = find(Backbone(), *frozen)
    message = f'Unit {late!r} is frozen although {trained!r} before it'
    with pytest.raises(ValueError, match=message):
        anatomy.first_trained()
