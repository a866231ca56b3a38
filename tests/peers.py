# Copyright (c) mmfba authors.
"""ResNet-32's cuts for the peers of FBA, and a comparison with equations."""

import copy

import torch
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from specs import filled_bank, make_spec

from mmfba.local import INPUT
from mmfba.models.backbones import CIFARResNet

RESNET32 = CIFARResNet(32)
HEAD = dict(type='LinearClsHead', num_classes=10, in_channels=64)
LEVEL_HOST = dict(
    type='mmfba.FBAAuxiliary',
    neck=dict(type='mmfba.ConvLevel'),
    head=dict(type='mmfba.TaskHead', stacked_convs=2),
)
MAN_LEVEL = dict(type='mmfba.MANAuxiliary', learn_scale=True, host=LEVEL_HOST)
"""MAN++ in detection, as in configs/man."""
CUTS = {16: 'stem', 32: 'layer2.0', 64: 'layer3.0'}
"""A cut of ResNet-32 for each width."""
LABELS = torch.tensor([1, 4, 1, 7, 4, 9])


def peer_spec(cut, backbone=RESNET32, **kwargs):
    """The cut after the unit ``cut``, as a classifier's."""
    return make_spec(
        backbone,
        cut,
        MODELS,
        head=HEAD,
        head_module=MODELS.build(HEAD),
        **kwargs,
    )


def samples(labels=LABELS):
    return [DataSample().set_gt_label(int(label)) for label in labels]


def count(module):
    return sum(p.numel() for p in module.parameters())


def feature(channels, size, seed=0):
    """Features of six images in double precision."""
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(
        len(LABELS), channels, size, size, generator=rng, dtype=torch.double
    )


def assert_equals_reference(aux, reference, x, image=None, frozen=()):
    """Loss and gradients of ``aux`` are those of the equations.

    Args:
        aux (AuxiliaryNetwork): What is tested.
        reference (nn.Module): Takes the feature, and the image if there is
            one, and returns the loss; its parameters stand in the same order.
        x (Tensor): The feature at the cut.
        image (Tensor, optional): The network's input.
        frozen (Sequence[Tensor]): Parameters of ``aux`` without gradient.
    """
    aux.double().train()
    reference.double().train()
    pairs = list(zip(aux.parameters(), reference.parameters()))
    assert len(pairs) == len(list(aux.parameters()))
    assert len(pairs) == len(list(reference.parameters()))
    with torch.no_grad():
        for own, other in pairs:
            assert own.shape == other.shape
            # Away from 0 and 1, so that no bias or scale is without effect.
            own.copy_(torch.randn_like(own) * 0.2 + 0.1)
            other.copy_(own)
    inputs = [copy.deepcopy(x).requires_grad_() for _ in range(2)]
    bank = filled_bank(aux.reads, {INPUT: image})
    losses = aux.loss(inputs[0], bank, samples())
    own = sum(value for name, value in losses.items() if 'loss' in name)
    args = () if image is None else (image,)
    other = reference(inputs[1], *args)
    own.backward()
    other.backward()
    close = dict(rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(own, other, **close)
    torch.testing.assert_close(inputs[0].grad, inputs[1].grad, **close)
    assert inputs[0].grad.abs().max() > 1e-8
    for param, expected in pairs:
        if any(param is f for f in frozen):
            assert param.grad is None
        else:
            torch.testing.assert_close(param.grad, expected.grad, **close)
    return losses
