# Copyright (c) mmfba authors.
import pytest
import torch
from mmdet.registry import MODELS
from specs import FPN
from torch import nn

from mmfba.models.neck_probe import neck_name, probe_neck

# Of a ResNet-18 of 8 base channels, for an image of 128 pixels.
SHAPES = [(2, 8, 32, 32), (2, 16, 16, 16), (2, 32, 8, 8), (2, 64, 4, 4)]
BFP = dict(type='BFP', in_channels=12, num_levels=5, refine_type='conv')
CENTERNET = dict(
    type='CTResNetNeck',
    in_channels=64,
    num_deconv_filters=(32, 16, 8),
    num_deconv_kernels=(4, 4, 4),
)
DYHEAD = dict(type='DyHead', in_channels=12, out_channels=32, num_blocks=1)
PYRAMID = [(2, 12, size, size) for size in (16, 8, 4, 2, 1)]


@pytest.mark.parametrize(
    'neck, read, returns',
    [
        (FPN, '0111', PYRAMID),
        (
            dict(FPN, end_level=2, num_outs=2, add_extra_convs=False),
            '0110',
            PYRAMID[:2],
        ),
        ([FPN, BFP], '0111', PYRAMID),
        ([FPN, DYHEAD], '0111', [(2, 32, *s[2:]) for s in PYRAMID]),
        (dict(CENTERNET, use_dcn=False), '0001', [(2, 8, 32, 32)]),
        (dict(CENTERNET, use_dcn=True), '0001', [(2, 8, 32, 32)]),
    ],
)
def test_what_necks_read_and_return(neck, read, returns):
    module = MODELS.build(neck)
    before = {n: t.clone() for n, t in module.state_dict().items()}
    state = torch.get_rng_state()
    probe = probe_neck(module, SHAPES)
    assert probe.read == tuple(r == '1' for r in read)
    assert probe.returns == tuple(returns)
    assert torch.get_rng_state().equal(state) and module.training
    for name, tensor in module.state_dict().items():
        assert tensor.equal(before[name])


def test_without_a_neck_the_head_takes_the_outputs():
    probe = probe_neck(None, SHAPES[3:])
    assert probe.read == (True,) and probe.returns == ((2, 64, 4, 4),)


class SizeReader(nn.Module):
    """Its output depends on the first map's size, not on its values."""

    def forward(self, maps):
        return (nn.functional.interpolate(maps[3], maps[0].shape[2:]),)


def test_a_map_of_which_only_the_size_is_read_is_read():
    probe = probe_neck(SizeReader(), SHAPES)
    assert probe.read == (True,) * 4
    assert probe.returns == ((2, 64, 32, 32),)


def test_a_neck_that_cannot_run_is_said_to_read_all():
    probe = probe_neck(nn.Conv2d(3, 8, 1), SHAPES)
    assert probe.read == (True,) * 4 and probe.returns is None


def test_names():
    assert neck_name([FPN, BFP]) == 'FPN + BFP'
    assert neck_name(dict(type=SizeReader)).endswith('.SizeReader')
    assert neck_name(None) == 'None'
