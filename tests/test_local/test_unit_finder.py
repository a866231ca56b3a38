# Copyright (c) mmfba authors.
import pytest
import torch
from torch import nn
from toy_networks import Block, LongSkip, Pyramid, Tokens

from mmfba.local.probe import probe
from mmfba.local.unit_finder import find_units


def units_of(network, size=32):
    return find_units(probe(network, [size])).units


def test_blocks_are_units_and_what_comes_before_is_the_stem():
    units = units_of(Pyramid())
    assert [u.name for u in units] == [
        'stem',
        'stages.0.0',
        'stages.0.1',
        'downs.0',
        'stages.1.0',
        'stages.1.1',
        'downs.1',
        'stages.2.0',
        'stages.2.1',
    ]
    assert units[0].end == 'relu'
    assert [u.feature.channels for u in units] == [
        4,
        4,
        4,
        8,
        8,
        8,
        16,
        16,
        16,
    ]
    assert [u.feature.stride for u in units] == [2, 2, 2, 4, 4, 4, 8, 8, 8]
    assert [u.stage for u in units] == [0, 1, 1, 2, 2, 2, 3, 3, 3]
    # Neither behind single layers nor behind the last unit.
    assert [u.name for u in units if not u.cuttable] == [
        'downs.0',
        'downs.1',
        'stages.2.1',
    ]


def test_every_weight_belongs_to_one_unit():
    network = LongSkip()
    seen = probe(network, [16])
    units = find_units(seen).units
    owned = [p for unit in units for p in unit.parameters]
    assert len(owned) == len(set(owned))
    assert set(owned) == {n for n, _ in network.named_parameters()}


def test_what_autograd_keeps_of_each_unit():
    images, maps = 2 * 3 * 16 * 16 * 4, 2 * 4 * 16 * 16 * 4  # bytes
    kept = [unit.kept for unit in units_of(LongSkip(), 16)]
    # A block: input of the conv, input of the norm, result of the ReLU.
    assert kept == [images, *[3 * maps] * 5, maps, maps]


def test_no_cut_in_the_tail_nor_behind_a_first_conv():
    units = units_of(LongSkip())
    cuttable = [u.name for u in units if u.cuttable]
    assert cuttable == [f'body.{i}' for i in range(4)]
    assert [u.name for u in units if u.tail] == ['after', 'last']
    assert units[0].name == 'stem' and units[0].end == 'first'
    assert [len(u.skips) for u in units] == [0, 1, 1, 1, 1, 1, 1, 0]


def test_tokens_have_a_map():
    units = units_of(Tokens())
    assert [u.name for u in units] == [
        'stem',
        *[f'layers.{i}' for i in range(5)],
    ]
    features = [u.feature for u in units]
    assert [f.tokens for f in features] == [-1, 1, 1, 1, 1, 1]
    assert all(f.channels == 6 and f.stride == 4 for f in features)


def test_a_map_of_tokens_of_another_size():
    spec = next(u for u in units_of(Tokens()) if u.name == 'layers.1').feature
    network, images = Tokens(), torch.rand(2, 3, 24, 40)
    outputs = []
    network.layers[1].register_forward_hook(
        lambda module, args, out: outputs.append(out)
    )
    network(images)
    ((tokens, shape),) = outputs
    found = spec.map_of((tokens, shape), images)
    assert found.shape == (2, 6, 6, 10)
    for y, x in ((0, 0), (2, 7), (5, 9)):
        assert found[:, :, y, x].equal(tokens[:, 1 + y * 10 + x])
    with pytest.raises(ValueError, match='60 tokens'):
        spec.map_of((tokens, shape), torch.rand(2, 3, 48, 40))


def test_layers_go_with_what_they_follow():
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3),
        nn.BatchNorm2d(4),
        nn.ReLU(inplace=True),
        nn.Conv2d(4, 4, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 5, 3),
    )
    units = units_of(network)
    assert [u.name for u in units] == ['0', '3', '6']
    assert [u.end for u in units] == ['2', '5', '6']
    assert [u.cuttable for u in units] == [True, True, False]


def test_a_block_whose_residual_path_is_missing_is_a_block_too():
    class Maybe(Block):
        def __init__(self, channels, residual):
            super().__init__(channels)
            self.residual = residual
            self.layers = nn.Sequential(
                nn.Conv2d(channels, channels, 1),
                nn.Conv2d(channels, channels, 1),
            )

        def forward(self, x):
            y = self.layers(x)
            return x + y if self.residual else y

    blocks = [Maybe(3, i % 2 == 0) for i in range(4)]
    units = units_of(nn.Sequential(*blocks))
    assert [u.end for u in units] == ['0', '1', '2', '3']


def test_the_network_that_is_probed_is_not_changed():
    network = Pyramid().eval().requires_grad_(False)
    state = {k: v.clone() for k, v in network.state_dict().items()}
    random = torch.get_rng_state()
    units_of(network)
    assert torch.get_rng_state().equal(random)
    assert not network.training
    assert not any(p.requires_grad for p in network.parameters())
    assert all(not m._forward_hooks for m in network.modules())
    for key, value in network.state_dict().items():
        assert value.equal(state[key]), key


def test_a_network_that_needs_another_size_or_a_real_device():
    class Picky(LongSkip):
        def forward(self, x):
            assert x.shape[-1] == 12
            if x.sum().item() > 0:  # meta tensors have no values
                return super().forward(x)

    assert len(find_units(probe(Picky(), [16, 12])).units) == 8
    with pytest.raises(TypeError, match='Picky cannot be probed'):
        probe(Picky(), [16])


def test_a_network_without_values_that_needs_a_real_device():
    class Reading(LongSkip):
        def forward(self, x):
            if x.sum().item() > 0:  # meta tensors have no values
                return super().forward(x)

    expected = units_of(LongSkip(), 16)
    with torch.device('meta'):
        network = Reading()
    assert units_of(network, 16) == expected
    assert all(p.is_meta for p in network.parameters())


def test_synchronised_norms_need_neither_a_gpu_nor_other_processes(
    monkeypatch,
):
    plain = Pyramid()
    network = nn.SyncBatchNorm.convert_sync_batchnorm(plain)
    monkeypatch.setattr(torch.distributed, 'is_initialized', lambda: True)
    with pytest.raises(ValueError, match='GPU'):
        network(torch.rand(2, 3, 16, 16))
    assert units_of(network) == units_of(Pyramid())
    assert isinstance(network.bn1, nn.SyncBatchNorm)


def test_a_network_without_convolutions():
    class Unfolding(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Linear(3 * 16, 6)
            self.layers = nn.ModuleList(
                nn.TransformerEncoderLayer(6, 2, 8) for _ in range(4)
            )

        def forward(self, x):
            x = nn.functional.unfold(x, 4, stride=4).transpose(1, 2)
            x = self.embed(x)
            for layer in self.layers:
                x = layer(x)
            return x

    names = [u.name for u in units_of(Unfolding())]
    assert names == ['stem', *[f'layers.{i}' for i in range(4)]]
