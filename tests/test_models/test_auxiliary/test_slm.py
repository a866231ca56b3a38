# Copyright (c) mmfba authors.
import copy

import mmdet.models.backbones as mmdet
import mmpretrain.models.backbones as mmpretrain
import pytest
import torch
from specs import make_spec
from torch import nn

from mmfba.models.auxiliary.necks.slm import SLM

RESNET_18 = mmpretrain.ResNet(18, stem_channels=16, base_channels=16)
RESNET_50 = mmdet.ResNet(50, base_channels=8)
WIDTHS = {1: 16, 2: 32, 3: 64, 4: 128}  # of ResNet-18, strides 4 to 32


def make_slm(spec, mode, *options):
    return SLM(spec, mode, *options)


def strides(slm):
    """Stride of each block, by stage."""
    return {
        int(stage): [block.conv1.stride[0] for block in blocks]
        for stage, blocks in slm.stages.items()
    }


@pytest.mark.parametrize(
    'mode, cut, expected',
    [
        ('stage_chain', 'stem', {1: [1], 2: [2], 3: [2], 4: [2]}),
        ('stage_chain', 'layer1.0', {1: [1], 2: [2], 3: [2], 4: [2]}),
        ('stage_chain', 'layer1.1', {2: [2], 3: [2], 4: [2]}),
        ('stage_chain', 'layer3.0', {3: [1], 4: [2]}),
        ('stage_chain', 'layer3.1', {4: [2]}),
        ('stage_chain', 'layer4.0', {4: [1]}),
        ('later_stages', 'stem', {1: [1], 2: [2], 3: [2], 4: [2]}),
        ('later_stages', 'layer1.0', {2: [2], 3: [2], 4: [2]}),
        ('later_stages', 'layer1.1', {2: [2], 3: [2], 4: [2]}),
        ('later_stages', 'layer3.0', {4: [2]}),
        ('later_stages', 'layer4.0', {4: [1]}),
    ],
)
def test_has_a_block_for_each_stage_of_its_mode(mode, cut, expected):
    spec = make_spec(RESNET_18, cut)
    slm = make_slm(spec, mode, 1.0, 1)
    assert strides(slm) == expected
    x = torch.rand(2, spec.cut.channels, 64 // spec.cut.stride, 32)
    made = slm(x)
    assert list(made) == list(expected) == list(slm.channels)
    for stage, feature in made.items():
        stride = 2 ** (stage + 1)
        assert feature.shape[:3] == (2, WIDTHS[stage], 64 // stride)
        assert slm.channels[stage] == WIDTHS[stage]


@pytest.mark.parametrize(
    'cut, stage',
    [('stem', 1), ('layer1.1', 1), ('layer2.0', 2), ('layer2.1', 2)],
)
def test_stage_tail_has_a_block_of_the_cuts_stage(cut, stage):
    spec = make_spec(RESNET_18, cut)
    slm = make_slm(spec, 'stage_tail', 1.0, 1)
    assert strides(slm) == {stage: [1]}
    x = torch.rand(2, spec.cut.channels, 6, 5)
    (made,) = slm(x).values()
    assert made.shape == (2, WIDTHS[stage], 6, 5)


def test_is_the_composition_of_its_blocks():
    # S2 eq. 4: one simplified block after the other.
    slm = make_slm(
        make_spec(RESNET_18, 'layer2.1'), 'stage_chain', 0.5, 2
    ).eval()
    x = torch.rand(1, 32, 8, 8)
    made = slm(x)
    for stage in (3, 4):
        for block in slm.stages[str(stage)]:
            x = block(x)
        assert torch.equal(made[stage], x)


@pytest.mark.parametrize('mode', ['stage_chain', 'stage_tail'])
def test_blocks_per_stage(mode):
    spec = make_spec(RESNET_18, 'layer2.0')
    slm = make_slm(spec, mode, 1.0, 3)
    expected = {2: [1, 1, 1], 3: [2, 1, 1], 4: [2, 1, 1]}
    if mode == 'stage_tail':
        expected = {2: [1, 1, 1]}
    assert strides(slm) == expected


@pytest.mark.parametrize(
    'cut, stage', [('stem', 1), ('layer2.0', 2), ('layer4.1', 4)]
)
def test_without_blocks_the_stage_is_the_feature_at_the_cut(cut, stage):
    spec = make_spec(RESNET_18, cut)
    slm = make_slm(spec, 'stage_tail', 0.5, 0)
    x = torch.rand(2, spec.cut.channels, 6, 5)
    made = slm(x)
    assert list(made) == [stage] and torch.equal(made[stage], x)
    assert slm.channels == {stage: spec.cut.channels}
    assert not list(slm.parameters())


def test_without_blocks_no_later_stage_can_be_made():
    spec = make_spec(RESNET_18, 'layer1.0')
    with pytest.raises(
        ValueError,
        match=r"blocks_per_stage=0.*'layer1\.0'.*stage 2: set mode=",
    ):
        make_slm(spec, 'stage_chain', 1.0, 0)


@pytest.mark.parametrize(
    'ratio, widths',
    [
        (1.0, [16, 32, 64, 128]),
        (0.5, [8, 16, 32, 64]),
        (0.25, [8, 8, 16, 32]),
        (0.01, [8, 8, 8, 8]),
        (0.4, [8, 16, 24, 48]),  # 6.4, 12.8, 25.6, 51.2
        (2.0, [32, 64, 128, 256]),
    ],
)
def test_channel_ratio(ratio, widths):
    slm = make_slm(make_spec(RESNET_18, 'stem'), 'stage_chain', ratio, 1)
    assert list(slm.channels.values()) == widths
    made = slm(torch.rand(2, 16, 16, 16))
    assert [f.shape[1] for f in made.values()] == widths


@pytest.mark.parametrize(
    'backbone, cut', [(RESNET_18, 'stem'), (RESNET_50, 'layer2.1')]
)
def test_blocks_are_of_the_backbones_class_with_fresh_weights(backbone, cut):
    slm = make_slm(make_spec(backbone, cut), 'stage_chain', 1.0, 1)
    blocks = [block for blocks in slm.stages.values() for block in blocks]
    assert {type(block) for block in blocks} == {backbone.block}
    assert not set(backbone.parameters()).intersection(slm.parameters())


def test_bottlenecks_keep_their_expansion():
    slm = make_slm(make_spec(RESNET_50, 'layer2.1'), 'stage_chain', 0.5, 1)
    assert slm.channels == {2: 32, 3: 64, 4: 128}
    for stage, (block,) in slm.stages.items():
        width = slm.channels[int(stage)]
        assert block.conv3.out_channels == width
        assert block.conv1.out_channels == width // 4


def test_super_resolution_keeps_the_residual_scale():
    from mmagic.models.editors import EDSRNet

    net = EDSRNet(3, 3, 8, num_blocks=2, upscale_factor=2, res_scale=0.1)
    slm = make_slm(make_spec(net, 'body.0'), 'stage_chain', 2.0, 2)
    made = slm(torch.rand(1, 8, 5, 7))
    assert made[1].shape == (1, 16, 5, 7)
    assert [b.res_scale for b in slm.stages['1'][1:]] == [0.1, 0.1]


def kaiming_std(conv):
    fan_out = conv.out_channels * conv.kernel_size[0] ** 2
    return (2 / fan_out) ** 0.5


@pytest.mark.parametrize('pretrained', [False, True])
def test_is_initialised_as_the_backbone_from_scratch(pretrained):
    backbone = mmdet.ResNet(18, base_channels=16)
    if pretrained:
        checkpoint = '/not/there.pth'
        backbone.init_cfg = dict(type='Pretrained', checkpoint=checkpoint)
    before = copy.deepcopy(backbone.init_cfg)
    slm = make_slm(make_spec(backbone, 'layer3.0'), 'stage_chain', 1.0, 1)
    with torch.no_grad():
        for p in slm.parameters():
            p.fill_(7)
    slm.init_weights()
    for module in slm.modules():
        if isinstance(module, nn.Conv2d):
            expected = kaiming_std(module)
            assert module.weight.std().item() == pytest.approx(
                expected, rel=0.1
            )
        elif isinstance(module, nn.BatchNorm2d):
            assert (module.weight == 1).all() and (module.bias == 0).all()
    assert backbone.init_cfg == before


@pytest.mark.parametrize(
    'options, message',
    [
        (('chain', 1.0, 1), r"neck\.mode='chain': choose from \('stage_ch"),
        (('stage_tail', 0, 1), r'neck\.channel_ratio=0: expected'),
        (('stage_tail', 4.5, 1), r'neck\.channel_ratio=4\.5: expected'),
        (('stage_chain', 1.0, -1), r'neck\.blocks_per_stage=-1: expected'),
        (('stage_chain', 1.0, 1.5), r'neck\.blocks_per_stage=1\.5: expected'),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(ValueError, match='auxiliary.' + message):
        make_slm(make_spec(RESNET_18, 'stem'), *options)
