# Copyright (c) mmfba authors.
"""The units that are found in networks whose cuts are names in configs."""

import mmdet.models.backbones as mmdet
import pytest
import torch
from small_networks import NETWORKS, SMALL, images, make

from mmfba.local.probe import probe
from mmfba.local.recompute import recomputing
from mmfba.local.replacement import replaced
from mmfba.local.unit_finder import find_units


def anatomy(net):
    return find_units(probe(net, [64])).trained_in(net)


def as_tuple(output):
    return output if isinstance(output, tuple) else (output,)


@pytest.mark.parametrize('name', NETWORKS)
def test_recomputed_units_are_the_same_bit_for_bit(name):
    nets, got = [make(name), make(name)], []
    forwards = [{}, recomputing(nets[1], anatomy(nets[1]).units)]
    for net, others in zip(nets, forwards):
        torch.manual_seed(2)  # drop path
        with replaced(others):
            outputs = as_tuple(net(images(name)))
            sum(out.square().mean() for out in outputs).backward()
        got.append(outputs)
    for a, b in zip(*got):
        assert torch.equal(a, b) and a.std() > 0
    expected, found = (dict(net.named_parameters()) for net in nets)
    for key, value in expected.items():
        assert torch.equal(found[key].grad, value.grad), key
    for key, value in nets[0].state_dict().items():
        assert torch.equal(nets[1].state_dict()[key], value), key


@pytest.mark.parametrize('name', NETWORKS)
def test_units_have_every_parameter_once(name):
    net = make(name)
    names = [n for unit in anatomy(net).units for n in unit.parameters]
    assert sorted(names) == sorted(n for n, _ in net.named_parameters())


@pytest.mark.parametrize('name', NETWORKS)
def test_probed_features_are_those_of_a_forward(name):
    net, x, made = make(name), images(name), {}
    units = anatomy(net).units
    for unit in units:
        net.get_submodule(unit.end).register_forward_hook(
            lambda m, args, out, unit=unit: made.update({unit: out})
        )
    net(x)
    for unit in units:
        spec = unit.feature
        assert spec.channels == made[unit].shape[1]
        if not unit.tail:
            assert spec.stride * made[unit].shape[2] == x.shape[2]


def test_units_of_resnet():
    found = anatomy(make('mmdet ResNet-18'))
    blocks = [f'layer{s}.{i}' for s in (1, 2, 3, 4) for i in (0, 1)]
    assert [u.name for u in found.units] == ['stem', *blocks]
    assert [u.stage for u in found.units] == [0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert [u.cuttable for u in found.units] == [True] * 8 + [False]
    assert found.outputs == tuple(f'layer{s}.1' for s in (1, 2, 3, 4))
    assert len(anatomy(make('mmdet ResNet-50')).units) == 17
    assert anatomy(make('mmpretrain ResNet-18')).outputs == ('layer4.1',)
    found = anatomy(make('mmpretrain ResNet-18 drop path'))
    assert found.outputs == ('layer1.1', 'layer3.1', 'layer4.1')


def test_units_of_cifar_resnet():
    found = anatomy(make('CIFARResNet-20'))
    assert [u.stage for u in found.units] == [0, 1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert found.outputs == ('layer3.2',)
    strides = [unit.feature.stride for unit in found.units]
    assert strides == [1] * 4 + [2] * 3 + [4] * 3


@pytest.mark.parametrize(
    'name, body', [('EDSR x2', 'body'), ('MSRResNet x4', 'trunk_net')]
)
def test_units_of_super_resolution(name, body):
    units = anatomy(make(name)).units
    blocks = [f'{body}.{i}' for i in range(5)]
    assert [u.name for u in units[:6]] == ['stem', *blocks]
    assert [u.stage for u in units[:6]] == [0, 1, 1, 1, 1, 1]
    assert [u.cuttable for u in units[:6]] == [False] + [True] * 4 + [False]
    assert not any(u.cuttable for u in units[5:])
    assert all(u.tail for u in units[6:]) and units[-1].name == 'conv_last'


@pytest.mark.parametrize('frozen, first', [(-1, 0), (0, 1), (1, 3), (3, 7)])
def test_frozen_stages_are_a_prefix(frozen, first):
    net = mmdet.ResNet(18, frozen_stages=frozen, **SMALL)
    assert anatomy(net).first_trained() == first


class OwnWidth(mmdet.ResNet):
    def __init__(self):
        super().__init__(18, **SMALL)


def test_a_subclass_has_the_units_of_its_family():
    assert anatomy(OwnWidth()).units[-1].name == 'layer4.1'
