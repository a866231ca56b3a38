# Copyright (c) mmfba authors.
import copy

import torch
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from specs import filled_bank, make_spec, run_units
from torch import nn

from mmfba.models.auxiliary import FBAAuxiliary
from mmfba.models.backbones import CIFARResNet

BACKBONE = CIFARResNet(20, base_channels=4)
HEAD = dict(type='LinearClsHead', num_classes=5, in_channels=16)
SAMPLES = [DataSample().set_gt_label(i) for i in (0, 3)]
IMAGES = torch.rand(2, 3, 8, 8)


def make(mode, fusion='none', readable=()):
    head = MODELS.build(HEAD)
    spec = make_spec(
        BACKBONE,
        'layer2.0',
        MODELS,
        readable,
        neck=dict(type='GlobalAveragePooling'),
        head=HEAD,
        head_module=head,
    )
    neck = dict(type='mmfba.SLMNeck', fusion=fusion)
    return FBAAuxiliary(spec, neck, dict(type='mmfba.TaskHead', mode=mode))


def test_loss_is_the_heads_own():
    # S1 eq. 3: the task head of the simplified feature, fused with the bank.
    aux = make('copy', 'add', ['stem.pooled']).eval()
    features = run_units(BACKBONE, IMAGES)
    x, bank = features['layer2.0'], filled_bank(aux.reads, features)
    simplified = x
    for blocks in aux.neck.slm.stages.values():
        simplified = blocks(simplified)
    fused = aux.neck.fusion(
        simplified.mean(dim=(2, 3)), [features['stem'].mean(dim=(2, 3))]
    )
    expected = nn.functional.cross_entropy(
        aux.head.fc(fused), torch.tensor([0, 3])
    )
    losses = aux.loss(x, bank, SAMPLES)
    assert list(losses) == ['loss']
    assert torch.allclose(losses['loss'], expected)


def test_reads_of_neck_and_head():
    assert make('copy').reads == ()
    aux = make('copy', 'add', ['stem.pooled', 'layer1.2.pooled'])
    assert aux.reads == ('stem.pooled', 'layer1.2.pooled')


def test_reads_of_neck_and_head_in_super_resolution():
    from mmagic.models.editors import MSRResNet
    from mmagic.models.losses import L1Loss

    net = MSRResNet(3, 3, 8, num_blocks=2, upscale_factor=2)
    spec = make_spec(net, 'trunk_net.0', None, ['stem'], head_module=L1Loss())
    neck = dict(type='mmfba.SLMNeck', fusion='add')
    aux = FBAAuxiliary(spec, neck, dict(type='mmfba.SRHead', mode='shared'))
    assert aux.reads == ('stem', 'input')
    assert aux.shared_modules == (net.upsample1, net.conv_hr, net.conv_last)


def test_shared_head_is_no_submodule():
    aux = make('shared')
    (head,) = aux.shared_modules
    assert not any(head is module for module in aux.modules())
    assert not any(name.startswith('head') for name in aux.state_dict())
    x = run_units(BACKBONE, IMAGES)['layer2.0']
    aux.loss(x, filled_bank((), {}), SAMPLES)['loss'].backward()
    assert head.fc.weight.grad is not None
    own = make('copy')
    assert own.shared_modules == () and 'head.fc.weight' in own.state_dict()


def test_deep_copy_of_the_model_shares_its_own_head():
    aux = make('shared')
    model = nn.ModuleDict(dict(head=aux.shared_modules[0], aux=aux))
    twin = copy.deepcopy(model)
    assert twin['aux'].shared_modules[0] is twin['head']
    assert twin['head'] is not model['head']


def test_init_weights_reaches_blocks_and_head():
    aux = make('copy', 'concat', ['stem.pooled'])
    with torch.no_grad():
        for p in aux.parameters():
            p.fill_(7)
    aux.init_weights()
    blocks = dict(aux.neck.slm.named_parameters())
    assert all((p == 7).sum() == 0 for p in blocks.values())
    assert 0 < aux.head.fc.weight.std() < 0.1  # init_cfg of LinearClsHead
    assert not aux.head.fc.bias.any()
