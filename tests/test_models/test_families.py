# Copyright (c) mmfba authors.
"""An exact step of every family of backbones, by its own forward."""

import copy
from importlib import import_module

import pytest
import torch
from families import FAMILIES, FAST
from mmengine.registry import MODELS, DefaultScope

from mmfba.local.call import tensors_of
from mmfba.local.interception import Interception
from mmfba.local.ownership import find_owners
from mmfba.local.partition import partition_uniform
from mmfba.local.probe import probe
from mmfba.local.unit_finder import find_units

FIXED = ('efficientformer',)  # to images of one size

families = pytest.mark.parametrize(
    'name',
    [
        pytest.param(name, marks=[] if name in FAST else pytest.mark.slow)
        for name in FAMILIES
    ],
)


def build(name):
    scope, cfg, size = FAMILIES[name]
    import_module(f'{scope}.models')
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope(scope):
        network = MODELS.build(copy.deepcopy(cfg)).double()
    network.train()
    images = torch.rand(2, 3, size, size, dtype=torch.float64)
    return network, images


def cut_in_four(network, size):
    seen = probe(network, [size])
    units = find_units(seen).units
    ranges = partition_uniform(units, 4)
    cuts = [units[stop - 1] for _, stop in ranges[:-1]]
    return units, cuts, find_owners(seen, cuts)


def loss_of(output):
    """Any function of features, of which no gradient is zero."""
    maps = list(tensors_of(output))
    return sum(
        (t * torch.linspace(-1, 1, t.numel()).to(t).view_as(t)).sum()
        + (t * t).mean()
        for t in maps
    )


def step(network, state, images, cuts, backward):
    """One step: what the network returns, gradients, buffers."""
    network.load_state_dict(state, strict=False)  # SwinV2 needs that
    network.zero_grad()
    torch.manual_seed(7)
    losses = []

    def on_cut(index, output):
        if backward == 'immediate':
            loss_of(output).backward()
        elif backward == 'summed':
            losses.append(loss_of(output))

    with Interception(network, cuts, on_cut):
        outputs = network(images)
    (loss_of(outputs) + sum(losses)).backward()
    grads = {
        n: None if p.grad is None else p.grad.clone()
        for n, p in network.named_parameters()
    }
    buffers = {n: b.clone() for n, b in network.named_buffers()}
    return list(tensors_of(outputs)), grads, buffers


@families
def test_a_step_is_exact(name):
    network, images = build(name)
    state = copy.deepcopy(network.state_dict())
    _, _, owners = cut_in_four(network, images.shape[-1])
    plain = step(network, state, images, type(owners.cuts)(), 'plain')
    now = step(network, state, images, owners.cuts, 'immediate')
    later = step(network, state, images, owners.cuts, 'summed')
    for output, expected in zip(now[0], plain[0]):
        assert output.equal(expected)
    for key, expected in plain[1].items():
        assert (now[1][key] is None) == (expected is None), key
        if expected is not None:
            torch.testing.assert_close(
                now[1][key], later[1][key], rtol=1e-10, atol=1e-12, msg=key
            )
    for key, expected in plain[2].items():
        assert now[2][key].equal(expected), key


@families
def test_every_loss_reaches_its_module_alone(name):
    network, images = build(name)
    _, cuts, owners = cut_in_four(network, images.shape[-1])
    names = {p: n for n, p in network.named_parameters()}
    everything = []
    for index in range(4):
        network.zero_grad()

        def on_cut(i, output, index=index):
            if i == index:
                loss_of(output).backward()

        with Interception(network, owners.cuts, on_cut):
            outputs = network(images)
        if index == 3:
            loss_of(outputs).backward()
        everything.append({n for p, n in names.items() if p.grad is not None})
    trained = {n for p, n in names.items() if p.requires_grad}
    assert everything[:3] == [own & trained for own in owners.owned]
    assert all(everything)
    assert sum(map(len, everything)) == len(set().union(*everything))


@families
def test_the_feature_at_a_cut_is_a_map_of_known_width_and_stride(name):
    network, images = build(name)
    units, cuts, owners = cut_in_four(network, images.shape[-1])
    specs = [unit.feature for unit in cuts]
    size = images.shape[-1]
    any_size = not hasattr(network, 'img_size') and name not in FIXED
    if FAMILIES[name][0] != 'mmagic' and any_size:
        images = torch.cat([images, images[..., : size // 2]], dim=-1)
    shapes = []

    def on_cut(index, output):
        shapes.append(specs[index].map_of(output, images).shape)

    with Interception(network, owners.cuts, on_cut):
        network(images)
    for spec, shape in zip(specs, shapes):
        height, width = images.shape[-2:]
        assert shape[:2] == (2, spec.channels)
        assert shape[2] == pytest.approx(height / spec.stride, abs=1)
        assert shape[3] == pytest.approx(width / spec.stride, abs=1)
