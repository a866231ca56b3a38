# Copyright (c) mmfba authors.
import pytest
import torch.nn.functional as F
from local_models import build
from mmpretrain.models.backbones import ResNet
from peers import LABELS, assert_equals_reference, count, feature
from peers import peer_spec as spec
from torch import nn

from mmfba.models.auxiliary import AugLocalAuxiliary

WIDTHS = [16] * 6 + [32] * 5 + [64] * 5  # stem and 15 blocks
CUTS = ['stem', *(f'layer{s}.{i}' for s in (1, 2, 3) for i in range(5))]


def depths(d, num_modules, tau=0.5):
    """d_l of each auxiliary network; Python rounds halves to even."""
    falls = [tau * i / (num_modules - 2) for i in range(num_modules - 1)]
    return [max(1, round(d * (1 - fall) + fall)) for fall in falls]


def layers(at, depth):
    """Indices l_i of the layers whose widths the blocks take."""
    if depth >= 15 - at:
        return list(range(at + 1, 16))
    return [round(at + (15 - at) / depth * (i + 1)) for i in range(depth)]


class Block(nn.Module):
    def __init__(self, before, after, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(after)
        self.skip = nn.Sequential()
        if stride > 1 or before != after:
            self.skip = nn.Sequential(
                nn.Conv2d(before, after, 1, stride, bias=False),
                nn.BatchNorm2d(after),
            )

    def forward(self, x):
        y = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))
        return F.relu(y + self.skip(x))


class Equations(nn.Module):
    def __init__(self, at, depth):
        super().__init__()
        blocks, width, halved = [], WIDTHS[at], WIDTHS[at]
        for layer in layers(at, depth):
            # Maps are to shrink as channels grow, at most by 2 in a block.
            stride = 2 if WIDTHS[layer] > halved else 1
            halved *= stride
            blocks.append(Block(width, WIDTHS[layer], stride))
            width = WIDTHS[layer]
        self.blocks = nn.Sequential(*blocks)
        self.norm = nn.BatchNorm1d(64) if depth <= 1 else nn.Identity()
        self.fc = nn.Linear(64, 10)

    def forward(self, x):
        pooled = self.norm(self.blocks(x).mean((2, 3)))
        return F.cross_entropy(self.fc(pooled), LABELS)


@pytest.mark.parametrize('at, d', [(0, 1), (0, 2), (0, 3), (7, 3), (13, 5)])
def test_loss_and_gradients_are_those_of_the_equations(at, d):
    num_modules = 16 - d
    depth = d if at >= num_modules - 1 else depths(d, num_modules)[at]
    index = 0 if at >= num_modules - 1 else at
    cut = spec(CUTS[at], index=index, num_modules=num_modules)
    aux = AugLocalAuxiliary(cut, depth=d)
    x = feature(WIDTHS[at], 128 // WIDTHS[at])
    assert_equals_reference(aux, Equations(at, depth), x)


@pytest.mark.parametrize(
    'd, pyramid, millions',
    [
        (1, [1] * 14, 0.81),
        (2, [2] * 13, 1.34),
        (3, [3] * 6 + [2] * 6, 1.51),
        (5, [5] * 3 + [4] * 4 + [3] * 3, 1.68),
    ],
)
def test_parameter_counts_of_the_published_networks(d, pyramid, millions):
    model = build(
        'classification',
        dict(
            backbone=dict(depth=32, base_channels=16),
            head=dict(in_channels=64),
        ),
        partition=dict(type='mmfba.JointTailPartition'),
        auxiliary=dict(type='mmfba.AugLocalAuxiliary', depth=d),
    )
    assert model.cuts == CUTS[: len(pyramid)]
    assert [len(aux.blocks) for aux in model.local_aux] == pyramid
    assert depths(d, 16 - d) == pyramid
    for at, aux in enumerate(model.local_aux):
        assert count(aux) == count(Equations(at, pyramid[at]))
    assert round(count(model.local_aux) / 1e6, 2) == millions


def test_where_few_layers_are_left_all_are_taken():
    aux = AugLocalAuxiliary(spec('layer3.2', index=0), depth=4)
    assert len(aux.blocks) == 2 and count(aux) == count(Equations(13, 4))


def test_blocks_are_of_the_backbones_own_kind():
    # R50, of 16 blocks: from the stem, whose channels quadruple at the same
    # size, to layers 5, 11 and 16.
    resnet = ResNet(50, zero_init_residual=False)
    aux = AugLocalAuxiliary(spec('stem', backbone=resnet), 3, tau=0.0)
    kinds = [(type(b), b.out_channels, b.stride) for b in aux.blocks]
    kind = type(resnet.layer1[0])
    assert kinds == [(kind, 512, 2), (kind, 1024, 2), (kind, 2048, 2)]
    assert isinstance(aux.norm, nn.Identity)


@pytest.mark.parametrize(
    'options, message',
    [
        (dict(depth=0), 'depth=0: expected a number of blocks'),
        (dict(depth=2, tau=1.5), 'tau=1.5: expected a number from 0 to 1'),
    ],
)
def test_wrong_values_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        AugLocalAuxiliary(spec('stem'), **options)
