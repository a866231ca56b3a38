# Copyright (c) mmfba authors.
import pytest
import torch
from mmdet.models.backbones import ResNet
from mmdet.models.necks import FPN
from mmdet.registry import MODELS
from specs import filled_bank, make_spec, record_inputs, run_units

from mmfba.local import INPUT
from mmfba.local.probe import probe
from mmfba.local.unit_finder import find_units
from mmfba.models.auxiliary import SLMFPN
from mmfba.models.auxiliary.necks.slm import MODES

BACKBONE = ResNet(18, base_channels=8, norm_eval=False)
BACKBONE.train()
NAMES = [INPUT, *find_units(probe(BACKBONE, [64])).features]
WIDTHS = {1: 8, 2: 16, 3: 32, 4: 64}
NECKS = {
    'retinanet': dict(start_level=1, add_extra_convs='on_input', num_outs=5),
    'fcos': dict(
        start_level=1,
        add_extra_convs='on_output',
        relu_before_extra_convs=True,
        num_outs=5,
    ),
    'from C2': dict(num_outs=5),  # two-stage detectors: P6 by max pooling
}
ENDS = {stage: f'layer{stage}.1' for stage in WIDTHS}


def neck_cfg(name):
    return dict(
        type='FPN', in_channels=[8, 16, 32, 64], out_channels=12, **NECKS[name]
    )


def outputs_read(name):
    first = NECKS[name].get('start_level', 0) + 1
    return tuple(ENDS[s] if s >= first else None for s in ENDS)


def readable(name, cut, timing):
    """The outputs that are in the bank when the auxiliary network runs."""
    units = NAMES
    filled = units[: units.index(cut)] if timing == 'causal' else units
    return [n for n in outputs_read(name) if n in filled and n != cut]


def make(cut, name='retinanet', timing='causal', neck=None, **options):
    spec = make_spec(
        BACKBONE,
        cut,
        MODELS,
        readable(name, cut, timing),
        outputs_read(name),
        neck or neck_cfg(name),
    )
    return SLMFPN(spec, **{'out_channels': 10, **options})


def features_of(size=(64, 96)):
    rng = torch.Generator().manual_seed(0)
    return run_units(BACKBONE, torch.rand(2, 3, *size, generator=rng))


def run(neck, cut, features):
    """Pyramid of the neck, and what its FPN was given."""
    calls = record_inputs(neck.neck)
    pyramid = neck(features[cut], filled_bank(neck.reads, features))
    ((given,),) = calls
    return pyramid, given


def main_sizes(name, features):
    cfg = neck_cfg(name)
    cfg.pop('type')
    with torch.no_grad():
        levels = FPN(**cfg)([features[end] for end in ENDS.values()])
    return [level.shape[2:] for level in levels]


@pytest.mark.parametrize('fusion', ['add', 'none'])
@pytest.mark.parametrize('timing', ['causal', 'two_pass'])
@pytest.mark.parametrize('mode', MODES)
@pytest.mark.parametrize('name', NECKS)
@pytest.mark.parametrize(
    'cut', ['stem', 'layer1.1', 'layer2.0', 'layer2.1', 'layer3.1', 'layer4.0']
)
def test_levels_are_those_of_the_main_neck(cut, name, mode, timing, fusion):
    neck = make(cut, name, timing, mode=mode, fusion=fusion)
    features = features_of()
    pyramid, _ = run(neck, cut, features)
    sizes = [level.shape[2:] for level in pyramid]
    assert sizes == main_sizes(name, features)
    assert {level.shape[:2] for level in pyramid} == {(2, neck.out_channels)}
    if fusion == 'none':
        assert set(neck.reads) <= {INPUT}


@pytest.mark.parametrize('fusion', ['add', 'none'])
@pytest.mark.parametrize('mode', MODES)
@pytest.mark.parametrize('cut', ['stem', 'layer2.0', 'layer3.1'])
def test_levels_of_images_that_are_not_padded(cut, mode, fusion):
    neck = make(cut, mode=mode, fusion=fusion)
    features = features_of((70, 101))
    pyramid, _ = run(neck, cut, features)
    sizes = [level.shape[2:] for level in pyramid]
    assert sizes == main_sizes('retinanet', features)


# What the local FPN is given for each output of the backbone: 'slm', a
# feature of the main network by name, None where it is not read.
CHAIN = {
    'stem': [None, 'slm', 'slm', 'slm'],
    'layer1.0': [None, 'slm', 'slm', 'slm'],
    'layer1.1': [None, 'slm', 'slm', 'slm'],
    'layer2.0': [None, 'slm', 'slm', 'slm'],
    'layer2.1': [None, 'layer2.1', 'slm', 'slm'],
    'layer3.0': [None, 'layer2.1', 'slm', 'slm'],
    'layer3.1': [None, 'layer2.1', 'layer3.1', 'slm'],
    'layer4.0': [None, 'layer2.1', 'layer3.1', 'slm'],
}


def record_outputs(module):
    """A list to which each call of ``module`` appends what it returns."""
    calls = []
    module.register_forward_hook(lambda m, args, out: calls.append(out))
    return calls


# The feature at the cut stands for its own stage.
LATER = dict(
    CHAIN,
    **{
        'layer2.0': [None, 'layer2.0', 'slm', 'slm'],
        'layer3.0': [None, 'layer2.1', 'layer3.0', 'slm'],
    },
)
CASES = [('stage_chain', *case) for case in CHAIN.items()]
CASES += [('later_stages', *case) for case in LATER.items()]


@pytest.mark.parametrize('mode, cut, expected', CASES)
@pytest.mark.parametrize('fusion', ['add', 'none'])
def test_levels_in_one_pass(mode, cut, expected, fusion):
    neck = make(cut, fusion=fusion, mode=mode)
    banked = tuple(n for n in expected if n not in (None, 'slm', cut))
    read = tuple(n for n in neck.reads if n != INPUT)
    assert read == (banked if fusion == 'add' else ())
    features = features_of()
    made = record_outputs(neck.slm)
    _, given = run(neck, cut, features)
    for stage, (got, source) in enumerate(zip(given, expected), start=1):
        if source == 'slm':
            assert got is made[0][stage]
        elif source == cut or (source and fusion == 'add'):
            assert got is features[source]
        elif source:
            assert got.shape == features[source].shape and not got.any()
    assert len(given) == 4 and neck.plan.num_dropped == 0


def test_stage_chain_widths():
    neck = make('layer1.1', channel_ratio=0.25, out_channels=10)
    assert neck.slm.channels == {2: 8, 3: 8, 4: 16}
    assert neck.neck.in_channels == [8, 8, 8, 16]
    neck = make('layer3.0', channel_ratio=0.5, blocks_per_stage=2)
    assert neck.neck.in_channels == [8, 16, 16, 32]
    assert [len(blocks) for blocks in neck.slm.stages.values()] == [2, 2]


@pytest.mark.parametrize('mode', MODES)
@pytest.mark.parametrize('cut', ['stem', 'layer1.1', 'layer2.0', 'layer3.1'])
def test_backbone_that_returns_only_what_is_read(cut, mode):
    backbone = ResNet(18, base_channels=8, out_indices=(1, 2, 3))
    cfg = neck_cfg('retinanet')
    cfg.update(in_channels=[16, 32, 64], start_level=0)
    outputs = tuple(ENDS[s] for s in (2, 3, 4))
    taps = readable('retinanet', cut, 'causal')
    spec = make_spec(backbone, cut, MODELS, taps, outputs, cfg)
    neck = SLMFPN(spec, mode=mode, out_channels=10)
    features = run_units(backbone, torch.rand(1, 3, 64, 96))
    pyramid, _ = run(neck, cut, features)
    sizes = [level.shape[2:] for level in pyramid]
    assert sizes == main_sizes('retinanet', features_of())


@pytest.mark.parametrize('fusion', ['add', 'concat', 'gate'])
def test_stage_chain_in_two_passes_fuses_what_both_know(fusion):
    neck = make('layer2.0', timing='two_pass', fusion=fusion)
    assert neck.reads == ('layer2.1', 'layer3.1', 'layer4.1')
    assert set(neck.fusions) == {'2', '3', '4'}
    features = features_of()
    made = record_outputs(neck.slm)
    _, given = run(neck, 'layer2.0', features)
    for stage in (2, 3, 4):
        bank = [features[ENDS[stage]]]
        expected = neck.fusions[str(stage)](made[0][stage], bank)
        assert torch.equal(given[stage - 1], expected)
        assert not torch.allclose(expected, made[0][stage])


def test_two_passes_without_fusion_is_causal():
    causal = make('layer3.1', fusion='none')
    double = make('layer3.1', timing='two_pass', fusion='none')
    assert causal.plan.levels == double.plan.levels
    assert not double.fusions


@pytest.mark.parametrize(
    'cut, sources, dropped',
    [
        ('stem', ['slm'], 1),
        ('layer1.1', ['slm'], 1),
        ('layer2.0', ['slm'], 0),
        ('layer2.1', ['slm'], 0),
        ('layer3.0', ['layer2.1', 'slm'], 0),
        ('layer3.1', ['layer2.1', 'slm'], 0),
    ],
)
@pytest.mark.parametrize('fusion', ['add', 'none'])
def test_stage_tail_makes_deeper_levels_by_convs(
    cut, sources, dropped, fusion
):
    neck = make(cut, mode='stage_tail', channel_ratio=0.5, fusion=fusion)
    stage = 1 if cut == 'stem' else int(cut[5])
    assert list(neck.slm.channels) == [stage]
    assert neck.plan.num_dropped == dropped
    features = features_of()
    made = record_outputs(neck.slm)
    pyramid, given = run(neck, cut, features)
    assert len(given) == len(sources) and len(pyramid) == 5
    assert given[-1] is made[0][stage]
    for got, source in zip(given[:-1], sources):
        if fusion == 'add':
            assert got is features[source]
        else:
            assert got.shape == features[source].shape and not got.any()
    convs = neck.neck.fpn_convs[len(sources) :]
    assert len(convs) == 5 + dropped - len(sources)
    assert {conv.conv.stride for conv in convs} == {(2, 2)}
    # Each deeper level is made of the one before it.
    fpn = neck.neck(given)
    for level, conv in enumerate(convs, start=len(sources)):
        assert torch.equal(fpn[level], conv(fpn[level - 1]))
    for got, level in zip(pyramid, fpn[dropped:]):
        assert torch.equal(got, level)


def test_stage_tail_in_the_last_stage_needs_no_convs():
    neck = make('layer4.0', mode='stage_tail')
    assert neck.reads == ('layer2.1', 'layer3.1')
    assert [lvl.source for lvl in neck.plan.levels] == [
        'unread',
        'bank',
        'bank',
        'slm',
    ]
    assert neck.neck.add_extra_convs == 'on_input'  # the main network's way


def test_stage_tail_in_two_passes_takes_deeper_levels_from_the_bank():
    neck = make('layer2.1', mode='stage_tail', timing='two_pass')
    assert neck.reads == ('layer3.1', 'layer4.1')
    features = features_of()
    made = record_outputs(neck.slm)
    _, given = run(neck, 'layer2.1', features)
    assert given[1] is made[0][2]
    assert given[2] is features['layer3.1']
    assert given[3] is features['layer4.1']


@pytest.mark.parametrize(
    'main, option, expected',
    [(256, None, 32), (64, None, 32), (16, None, 16), (256, 24, 24)],
)
def test_out_channels(main, option, expected):
    cfg = dict(neck_cfg('retinanet'), out_channels=main)
    neck = make('layer3.1', neck=cfg, out_channels=option)
    assert neck.out_channels == neck.neck.out_channels == expected


def test_main_config_is_left_alone():
    cfg = neck_cfg('retinanet')
    for mode in MODES:
        make('stem', neck=cfg, mode=mode)
    assert cfg == neck_cfg('retinanet')


def test_gradient_reaches_the_cut_and_the_bank_gets_none():
    neck = make('layer3.1')
    features = features_of()
    x = features['layer3.1'].clone().requires_grad_()
    pyramid = neck(x, filled_bank(neck.reads, features))
    sum(level.sum() for level in pyramid).backward()
    assert x.grad.abs().sum() > 0
    assert all(not f.requires_grad for f in features.values())
    assert all(p.grad is not None for p in neck.parameters())


@pytest.mark.parametrize('mode', MODES)
@pytest.mark.parametrize('kind', ['FPN', 'mmdet.FPN'])
def test_type_of_the_neck_with_and_without_scope(mode, kind):
    cfg = dict(neck_cfg('retinanet'), type=kind)
    neck = make('layer2.0', neck=cfg, mode=mode)
    assert isinstance(neck.neck, FPN)


def test_detector_without_a_neck():
    spec = make_spec(BACKBONE, 'layer2.0', MODELS)
    with pytest.raises(ValueError, match='main network is None: choose'):
        SLMFPN(spec)


def test_other_necks_cannot_make_levels():
    cfg = dict(neck_cfg('retinanet'), type='PAFPN')
    assert make('layer2.0', neck=cfg).neck.num_outs == 5
    message = "a PAFPN: use .* with mode='stage_chain'"
    with pytest.raises(ValueError, match=message):
        make('layer2.0', neck=cfg, mode='stage_tail')


@pytest.mark.parametrize(
    'options, message',
    [
        (dict(fusion='sum'), "fusion='sum': choose from"),
        (dict(mode='tail'), "mode='tail': choose from"),
        (dict(channel_ratio=0), 'channel_ratio=0: expected'),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(ValueError, match=message):
        make('layer2.0', **options)
