# Copyright (c) mmfba authors.
import copy
from dataclasses import replace
from functools import lru_cache, partial

import mmdet.models.backbones as mmdet
import mmpretrain.models.backbones as mmpretrain
import pytest
import torch
from torch import nn

from mmfba.local import INPUT, Chain, Unit, probe_features
from mmfba.local.memory import PeakTracker
from mmfba.local.recompute import forward_recomputed
from mmfba.models import build_chain, register_chain
from mmfba.models.backbones import CIFARResNet
from mmfba.models.chains import builder

# Small, with statistics that move and branches that do not start at zero.
SMALL = dict(base_channels=8, norm_eval=False, zero_init_residual=False)
TWO_STAGES = dict(
    num_stages=2, strides=(1, 2), dilations=(1, 1), out_indices=(1,), **SMALL
)
STEM = dict(stem_channels=8)  # of mmpretrain
BACKBONES = {
    'mmdet ResNet-18': partial(mmdet.ResNet, 18, **SMALL),
    'mmdet ResNet-50': partial(mmdet.ResNet, 50, **SMALL),
    'mmdet ResNet-50 caffe': partial(
        mmdet.ResNet, 50, style='caffe', **TWO_STAGES
    ),
    'mmdet ResNetV1d-50': partial(mmdet.ResNetV1d, depth=50, **TWO_STAGES),
    'mmdet ResNeXt-50': partial(
        mmdet.ResNeXt, depth=50, groups=2, base_width=4, **TWO_STAGES
    ),
    'mmpretrain ResNet-18': partial(mmpretrain.ResNet, 18, **STEM, **SMALL),
    'mmpretrain ResNet-18 drop path': partial(
        mmpretrain.ResNet,
        18,
        drop_path_rate=0.3,
        out_indices=(0, 2, 3),
        **STEM,
        **SMALL,
    ),
    'mmpretrain ResNetV1c-50': partial(
        mmpretrain.ResNetV1c, depth=50, **STEM, **TWO_STAGES
    ),
    'mmpretrain ResNetV1d-50': partial(
        mmpretrain.ResNetV1d, depth=50, **STEM, **TWO_STAGES
    ),
    'mmpretrain ResNeXt-50': partial(
        mmpretrain.ResNeXt,
        50,
        groups=2,
        width_per_group=4,
        **STEM,
        **TWO_STAGES,
    ),
    'mmpretrain SEResNet-50': partial(
        mmpretrain.SEResNet, 50, se_ratio=4, **STEM, **TWO_STAGES
    ),
    'mmpretrain ResNet_CIFAR-18': partial(
        mmpretrain.ResNet_CIFAR, 18, **STEM, **SMALL
    ),
    'CIFARResNet-20': partial(CIFARResNet, 20, base_channels=8),
}


def editor(name, *args, **kwargs):
    from mmagic.models import editors

    return getattr(editors, name)(*args, **kwargs)


SUPER_RESOLUTION = {
    f'{name} x{scale}': partial(
        editor,
        net,
        3,
        3,
        mid_channels=8,
        num_blocks=3,
        upscale_factor=scale,
        **kwargs,
    )
    for name, net, scale, kwargs in [
        ('EDSR', 'EDSRNet', 2, dict(res_scale=0.1, rgb_std=[0.5, 1, 2])),
        ('EDSR', 'EDSRNet', 3, {}),
        ('EDSR', 'EDSRNet', 4, {}),
        ('MSRResNet', 'MSRResNet', 2, {}),
        ('MSRResNet', 'MSRResNet', 3, {}),
        ('MSRResNet', 'MSRResNet', 4, {}),
    ]
}
NETWORKS = {**BACKBONES, **SUPER_RESOLUTION}


@lru_cache(None)
def initialized(name):
    torch.manual_seed(0)
    net = NETWORKS[name]()
    net.init_weights()
    return net


def make(name):
    net = copy.deepcopy(initialized(name))
    net.train()
    return net


def images(name):
    size = (6, 9) if name in SUPER_RESOLUTION else (32, 64)
    rng = torch.Generator().manual_seed(1)
    return torch.rand(2, 3, *size, generator=rng)


def run(chain, x, recompute=False):
    features = {INPUT: x}
    for unit in chain.units:
        x = forward_recomputed(unit, x) if recompute else unit.forward(x)
        features[unit.name] = x
    read = {name: features[name] for name in chain.outputs}
    return chain.finish(read)  # of nothing but what it says it reads


def as_tuple(output):
    return output if isinstance(output, tuple) else (output,)


@pytest.mark.parametrize('mode', ['train', 'eval'])
@pytest.mark.parametrize('name', NETWORKS)
def test_equals_upstream_bit_for_bit(name, mode):
    net, x = make(name), images(name)
    if mode == 'eval':
        with torch.no_grad():
            net(x)  # moves the running statistics
        net.eval()
    twin, before = copy.deepcopy(net), copy.deepcopy(net.state_dict())
    torch.manual_seed(2)
    expected = as_tuple(net(x))
    torch.manual_seed(2)
    got = as_tuple(run(build_chain(twin), x))
    assert len(got) == len(expected)
    for a, b in zip(got, expected):
        assert torch.equal(a, b)
        assert a.std() > 0
    for key, value in net.state_dict().items():
        assert torch.equal(twin.state_dict()[key], value), key
    moved = [
        k for k, v in before.items() if not torch.equal(v, net.state_dict()[k])
    ]
    assert bool(moved) == (mode == 'train' and name in BACKBONES)
    assert torch.equal(x, images(name))


@pytest.mark.parametrize('name', NETWORKS)
def test_recomputed_units_are_the_same_bit_for_bit(name):
    nets, got = [make(name), make(name)], []
    for net, recompute in zip(nets, (False, True)):
        torch.manual_seed(2)  # drop path
        outputs = as_tuple(run(build_chain(net), images(name), recompute))
        sum(out.square().mean() for out in outputs).backward()
        got.append(outputs)
    for a, b in zip(*got):
        assert torch.equal(a, b)
    expected, found = (dict(net.named_parameters()) for net in nets)
    for key, value in expected.items():
        assert torch.equal(found[key].grad, value.grad), key
    for key, value in nets[0].state_dict().items():
        assert torch.equal(nets[1].state_dict()[key], value), key


@pytest.mark.parametrize(
    'name, blocks',
    [
        ('mmdet ResNet-50', 16),
        ('mmpretrain ResNet-18 drop path', 8),
        ('CIFARResNet-20', 9),
        ('mmpretrain SEResNet-50', 0),  # has a forward of its own
        ('EDSR x2', 0),
    ],
)
def test_paths_of_residual_blocks(name, blocks):
    units = build_chain(make(name)).units
    assert sum(unit.residual is not None for unit in units) == blocks


def test_a_path_of_a_block_at_a_time():
    """With the projection alone less is alive than with the branch too."""
    unit = build_chain(make('mmdet ResNet-50')).units[1]
    x = torch.rand(2, 8, 64, 64)
    peaks = []
    for parts in (unit.residual, None):
        out = forward_recomputed(replace(unit, residual=parts), x)
        with PeakTracker().track(out) as tracker:
            out.backward(torch.ones_like(out))
            peaks.append(tracker.peak)
        del out
    assert peaks[1] - peaks[0] >= 0.9 * unit.forward(x).nbytes


@pytest.mark.parametrize('name', NETWORKS)
def test_units_train_every_parameter_once(name):
    net = make(name)
    chain = build_chain(net)
    trained = [p for unit in chain.units for p in unit.parameters()]
    assert len(trained) == len(set(trained))
    names = {n for n, p in net.named_parameters() if p not in set(trained)}
    tail = ('conv_after_body', 'upsample', 'conv_hr', 'conv_last')
    assert all(n.startswith(tail) for n in names)
    assert bool(names) == (name in SUPER_RESOLUTION)


@pytest.mark.parametrize('name', NETWORKS)
def test_probed_features_are_those_of_a_forward(name):
    net = make(name)
    specs = probe_features(net, build_chain)
    chain, x = build_chain(net), images(name)
    assert list(specs) == chain.names
    size = x.shape[2]
    for unit in chain.units:
        x = unit.forward(x)
        spec = specs[unit.name]
        assert (spec.stage, spec.channels) == (unit.stage, x.shape[1])
        assert spec.stride * x.shape[2] == size


def test_units_of_resnet():
    chain = build_chain(make('mmdet ResNet-18'))
    blocks = [f'layer{s}.{i}' for s in (1, 2, 3, 4) for i in (0, 1)]
    assert [u.name for u in chain.units] == ['stem', *blocks]
    assert [u.stage for u in chain.units] == [0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert all(u.cuttable for u in chain.units)
    assert chain.outputs == tuple(f'layer{s}.1' for s in (1, 2, 3, 4))
    assert len(build_chain(make('mmdet ResNet-50')).units) == 17
    chain = build_chain(make('mmpretrain ResNet-18'))
    assert chain.outputs == ('layer4.1',)
    chain = build_chain(make('mmpretrain ResNet-18 drop path'))
    assert chain.outputs == ('layer1.1', 'layer3.1', 'layer4.1')


def test_units_of_cifar_resnet():
    chain = build_chain(make('CIFARResNet-20'))
    assert [u.stage for u in chain.units] == [0, 1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert chain.outputs == ('layer3.2',)
    specs = probe_features(make('CIFARResNet-20'), build_chain)
    assert [s.stride for s in specs.values()] == [1] * 5 + [2] * 3 + [4] * 3


@pytest.mark.parametrize(
    'name, body', [('EDSR x2', 'body'), ('MSRResNet x4', 'trunk_net')]
)
def test_units_of_super_resolution(name, body):
    chain = build_chain(make(name))
    blocks = [f'{body}.{i}' for i in range(3)]
    assert [u.name for u in chain.units] == ['stem', *blocks]
    assert [u.stage for u in chain.units] == [0, 1, 1, 1]
    assert [u.cuttable for u in chain.units] == [False, True, True, True]
    skip = 'stem' if body == 'body' else INPUT
    assert chain.outputs == (f'{body}.2', skip)


@pytest.mark.parametrize('name', BACKBONES)
def test_stage_of_the_backbones_own_kind(name):
    net = make(name)
    before = set(net.parameters())
    stage = build_chain(net).make_stage(8, 32, 2, 2)
    assert stage(torch.rand(2, 8, 10, 12)).shape == (2, 32, 5, 6)
    assert [type(block) for block in stage] == [net.block] * 2
    assert not before.intersection(stage.parameters())
    own = net.layer2[0]
    assert stage[0].conv1.stride == own.conv1.stride
    assert stage[0].conv2.stride == own.conv2.stride
    assert stage[0].conv2.groups == own.conv2.groups
    assert stage[1].downsample is None
    assert [type(m) for m in stage[0].downsample] == [
        type(m) for m in own.downsample
    ]
    if 'SE' in name:
        squeezed = [b.se_layer.conv1.conv for b in (stage[0], own)]
        ratios = [c.in_channels / c.out_channels for c in squeezed]
        assert ratios == [4, 4]


@pytest.mark.parametrize('name', SUPER_RESOLUTION)
@pytest.mark.parametrize('width', [8, 16])
def test_stage_of_super_resolution(name, width):
    net = make(name)
    chain = build_chain(net)
    stage = chain.make_stage(8, width, 1, 2)
    assert stage(torch.rand(2, 8, 5, 6)).shape == (2, width, 5, 6)
    blocks = stage if width == 8 else stage[1:]
    own = chain.units[1].modules[0]
    assert [type(b) for b in blocks] == [type(own)] * 2
    assert all(b.res_scale == own.res_scale for b in blocks)
    assert not set(net.parameters()).intersection(stage.parameters())


def test_stage_keeps_the_norm():
    norm = dict(type='GN', num_groups=4, requires_grad=True)
    net = mmdet.ResNet(18, norm_cfg=norm, **SMALL)
    stage = build_chain(net).make_stage(8, 16, 1, 1)
    assert isinstance(stage[0].norm1, nn.GroupNorm)


@pytest.mark.parametrize('frozen, first', [(-1, 0), (0, 1), (1, 3), (3, 7)])
def test_frozen_stages_are_a_prefix(frozen, first):
    net = mmdet.ResNet(18, frozen_stages=frozen, **SMALL)
    assert build_chain(net).first_trained() == first


def test_stem_unit():
    net = make('mmdet ResNet-18')
    chain = build_chain(net, stem_unit=False)
    assert [u.cuttable for u in chain.units] == [False] + [True] * 8
    x = images('mmdet ResNet-18')
    expected = run(build_chain(copy.deepcopy(net)), x)
    for a, b in zip(run(chain, x), expected):
        assert torch.equal(a, b)


class OwnForward(mmdet.ResNet):
    def forward(self, x):
        return super().forward(x.flip(1))


class OwnWidth(mmdet.ResNet):
    def __init__(self):
        super().__init__(18, **SMALL)


@pytest.mark.parametrize(
    'make_net, family',
    [
        (OwnForward, 'mmdet.ResNet'),
        (mmdet.RegNet, 'mmdet.ResNet'),
        (mmpretrain.RegNet, 'mmpretrain.ResNet'),
    ],
)
def test_forward_of_its_own_is_refused(make_net, family):
    arg = 18 if make_net is OwnForward else 'regnetx_400mf'
    message = f'{make_net.__name__} has a forward of its own, .* of {family}'
    with pytest.raises(TypeError, match=message):
        build_chain(make_net(arg))


def test_subclass_with_the_forward_of_its_family():
    assert build_chain(OwnWidth()).units[-1].name == 'layer4.1'


def test_unknown_backbone():
    with pytest.raises(TypeError) as error:
        build_chain(nn.Conv2d(3, 4, 3))
    assert 'No chain for the backbone Conv2d' in str(error.value)
    for family in (
        'mmdet.ResNet',
        'mmpretrain.ResNet',
        'mmpretrain.ResNet_CIFAR',
        'mmagic.EDSRNet',
        'mmagic.MSRResNet',
    ):
        assert repr(family) in str(error.value)


def test_a_new_family(monkeypatch):
    class PlainNet(nn.Module):
        def __init__(self):
            super().__init__()
            self.blocks = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())

        def forward(self, x):
            return (self.blocks(x),)

    monkeypatch.setattr(builder, '_MAKERS', dict(builder._MAKERS))

    @register_chain(f'{PlainNet.__module__.split(".")[0]}.PlainNet')
    def plainnet_chain(net):
        units = [
            Unit(f'blocks.{i}', 1, b, (b,)) for i, b in enumerate(net.blocks)
        ]
        last = units[-1].name
        return Chain(tuple(units), (last,), lambda f: (f[last],), None)

    net, x = PlainNet(), torch.rand(1, 3, 5, 5)
    assert torch.equal(run(build_chain(net), x)[0], net(x)[0])


def test_parameters_of_resnet_32():
    backbone, head = CIFARResNet(32), nn.Linear(64, 10)
    count = sum(
        p.numel() for net in (backbone, head) for p in net.parameters()
    )
    assert count == 466_906
    assert backbone(torch.rand(1, 3, 32, 32))[0].shape == (1, 64, 8, 8)


@pytest.mark.parametrize('depth, blocks', [(8, 1), (20, 3), (110, 18)])
def test_blocks_of_cifar_resnet(depth, blocks):
    net = CIFARResNet(depth, base_channels=2)
    assert [len(getattr(net, n)) for n in net.res_layers] == [blocks] * 3


@pytest.mark.parametrize('depth', [2, 31, 18, 0])
def test_impossible_depth(depth):
    with pytest.raises(ValueError, match=f'depth={depth}: .* 6n.2'):
        CIFARResNet(depth)
