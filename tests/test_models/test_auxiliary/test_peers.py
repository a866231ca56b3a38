# Copyright (c) mmfba authors.
"""What holds for every peer of FBA."""

import copy

import pytest
import torch
from local_models import build, config, raw_data

from mmfba.analysis.benchmark import ArmRun
from mmfba.engine.optim_wrappers import (
    AmpLocalLearningOptimWrapper,
    LocalLearningOptimWrapper,
)

DGL = dict(type='mmfba.DGLAuxiliary', variant='original')
INFOPRO = dict(type='mmfba.InfoProAuxiliary', recon_weight=5, task_weight=1)
PREDSIM = dict(type='mmfba.PredSimAuxiliary', input_shape=(16, 16))
AUGLOCAL = dict(type='mmfba.AugLocalAuxiliary', depth=2)
PEERS = {
    'predsim': dict(PREDSIM, dim_in_decoder=512),
    'dgl-original': DGL,
    'dgl-auglocal': dict(DGL, variant='auglocal'),
    'infopro-ce': INFOPRO,
    'infopro-contrast': dict(INFOPRO, loss='contrast'),
    'auglocal': AUGLOCAL,
    'greedy': dict(type='mmfba.GreedyAuxiliary'),
    'man-dgl': dict(
        type='mmfba.MANAuxiliary', host=dict(DGL, variant='manpp')
    ),
    'man-infopro': dict(
        type='mmfba.MANAuxiliary', host=dict(INFOPRO, arch='2c2f')
    ),
}
peers = pytest.mark.parametrize('peer', PEERS)


def local(peer):
    return build('classification', num_modules=3, auxiliary=PEERS[peer])


@peers
def test_a_step_trains_every_module(peer):
    model = local(peer)
    before = copy.deepcopy(dict(model.named_parameters()))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    batch = raw_data('classification', batch_size=12)  # labels in pairs
    logs = model.train_step(batch, LocalLearningOptimWrapper(optimizer))
    assert all(value.isfinite() for value in logs.values())
    assert {name.split('/')[0] for name in logs} == {'loss', 'aux0', 'aux1'}
    for name, p in model.named_parameters():
        # Not biases: before batch normalisation they have no effect.
        if p.requires_grad and p.ndim > 1:
            assert not p.equal(before[name]), name
    assert len(model.learner.bank) == 0


@peers
def test_a_step_in_bfloat16_is_near_that_in_full_precision(peer):
    """Also what must not be computed in half precision."""
    plain = local(peer)
    half = copy.deepcopy(plain)
    batch = raw_data('classification', batch_size=12)
    wrappers = [
        LocalLearningOptimWrapper(torch.optim.SGD(plain.parameters(), lr=0.1)),
        AmpLocalLearningOptimWrapper(
            optimizer=torch.optim.SGD(half.parameters(), lr=0.1),
            dtype='bfloat16',
        ),
    ]
    expected, logs = (
        model.train_step(batch, wrapper)
        for model, wrapper in zip((plain, half), wrappers)
    )
    for name, value in logs.items():
        assert value.item() == pytest.approx(
            expected[name].item(), rel=0.1, abs=0.02
        ), name


@pytest.mark.parametrize('peer', [peer for peer in PEERS if peer != 'greedy'])
def test_convs_are_initialized_as_the_backbones(peer):
    weights = []
    for module in local(peer).local_aux.modules():
        if isinstance(module, torch.nn.Conv2d):
            fan_out = module.out_channels * module.kernel_size[0] ** 2
            weights.append(module.weight.flatten() * (fan_out / 2) ** 0.5)
    assert torch.cat(weights).std().item() == pytest.approx(1, rel=0.1)


@pytest.mark.parametrize('peer', ['predsim', 'infopro-contrast', 'man-dgl'])
def test_costs_are_known_without_data(peer):
    cfg = config('classification', num_modules=3, auxiliary=PEERS[peer])
    profile = ArmRun(cfg, 'local', 4, (16, 16), 'meta').profile()
    assert profile.peak_bytes > 0


@pytest.mark.parametrize('task', ['detection', 'super-resolution'])
@pytest.mark.parametrize('peer', ['dgl-original', 'infopro-contrast'])
def test_other_tasks_are_refused(task, peer):
    with pytest.raises(ValueError, match='this auxiliary network classifies'):
        build(task, num_modules=3, auxiliary=PEERS[peer])
