# Copyright (c) mmfba authors.
"""The neck, and MAN++ in detection, which it is for."""

import copy

import pytest
import torch
import torch.nn.functional as F
from local_models import bare_loss, build, data, gradients, raw_data
from mmdet.models.backbones import ResNet
from mmdet.registry import MODELS
from peers import LEVEL_HOST, MAN_LEVEL, assert_equals_reference, feature
from specs import FPN, make_spec
from torch import nn

from mmfba.engine.optim_wrappers import LocalLearningOptimWrapper
from mmfba.models.auxiliary import ConvLevel, MANAuxiliary

BACKBONE = ResNet(18, base_channels=8, norm_eval=False)
BACKBONE.train()
ENDS = (None, 'layer2.1', 'layer3.1', 'layer4.1')


def spec(cut, neck=FPN):
    return make_spec(BACKBONE, cut, MODELS, (), ENDS, neck)


class Squares(nn.Module):
    """In the head's place."""

    def __init__(self, spec, in_channels, levels):
        super().__init__()

    def loss(self, levels, data_samples):
        return dict(loss=sum(level.square().mean() for level in levels))


class Block(nn.Module):
    """The first of a stage: twice the channels, half the size."""

    def __init__(self, channels):
        super().__init__()
        width = 2 * channels
        self.conv1 = nn.Conv2d(channels, width, 3, 2, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        self.skip = nn.Conv2d(channels, width, 1, 2, bias=False)
        self.skip_norm = nn.BatchNorm2d(width)

    def forward(self, x):
        y = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))
        return F.relu(y + self.skip_norm(self.skip(x)))


class Equations(nn.Module):
    """Levels of MAN++'s auxiliary networks, and the sum of their squares."""

    def __init__(self, channels, num_extra):
        super().__init__()
        self.s = nn.Parameter(torch.ones(()))
        self.learned, self.average = Block(channels), Block(channels)
        self.lateral = nn.Conv2d(2 * channels, 12, 1)
        self.extra = nn.ModuleList(
            [nn.Conv2d(12, 12, 3, 2, 1) for _ in range(num_extra)]
        )

    def forward(self, x):
        y = self.s * self.learned(x) + (2 - self.s) * self.average(x)
        level = F.relu(self.lateral(y))
        loss = level.square().mean()
        for conv in self.extra:
            level = conv(level)
            loss = loss + level.square().mean()
        return loss


@pytest.mark.parametrize(
    'cut, channels, num_extra',
    [('layer1.1', 8, 0), ('layer2.1', 16, 0), ('layer3.1', 32, 2)],
)
def test_loss_and_gradients_are_those_of_the_equations(
    cut, channels, num_extra
):
    host = dict(LEVEL_HOST, head=dict(type=Squares))
    aux = MANAuxiliary(spec(cut), host, learn_scale=True)
    assert_equals_reference(
        aux,
        Equations(channels, num_extra),
        feature(channels, 16),
        frozen=list(aux.average.parameters()),
    )


@pytest.mark.parametrize(
    'cut, levels',
    [('layer2.0', [0]), ('layer3.1', [1]), ('layer4.0', [2, 3, 4])],
)
def test_levels_are_those_of_the_stage(cut, levels):
    neck = ConvLevel(spec(cut))
    assert [*range(5)][neck.predicted_levels] == levels
    x = torch.rand(1, neck.neck[0].in_channels, 16, 8)
    shapes = [tuple(level.shape) for level in neck(x, None)]
    sizes = [(16, 8), (8, 4), (4, 2)]
    assert shapes == [(1, 12, *size) for size in sizes[: len(levels)]]


def test_norm_is_that_of_the_main_neck():
    norm_cfg = dict(type='GN', num_groups=3)
    neck = ConvLevel(spec('layer4.1', dict(FPN, norm_cfg=norm_cfg)))
    norms = [m for m in neck.modules() if isinstance(m, nn.GroupNorm)]
    assert [norm.num_groups for norm in norms] == [3, 3, 3]


def test_what_it_cannot_do_is_refused():
    with pytest.raises(ValueError, match=r'stage 1.* stages \[2, 3, 4\]'):
        build('detection', partition=['stem', 'layer2.1'], auxiliary=MAN_LEVEL)
    with pytest.raises(ValueError, match='copies the neck of a detector'):
        build('yolov1', num_modules=3, auxiliary=MAN_LEVEL)


def man(**options):
    return build(
        'detection', partition='stage', auxiliary=MAN_LEVEL, **options
    )


@pytest.mark.parametrize('chunk', [None, 1])
def test_each_module_and_auxiliary_network_is_trained(chunk):
    """So there is no parameter that a process could miss."""
    model = man(chunk=chunk)
    losses = bare_loss(model, data(model, 'detection', size=128))
    model.parse_losses(losses)[0].backward()
    assert {f'aux{i}/cls' for i in range(3)} <= set(losses)
    missing = {n for n, g in gradients(model).items() if g is None}
    frozen = {n for n, p in model.named_parameters() if not p.requires_grad}
    assert missing == frozen
    assert all('.average.' in name for name in frozen) and frozen


def test_chunks_add_up_to_the_batch():
    found = []
    for chunk in (None, 1):
        model = man(chunk=chunk).double()
        batch = data(model, 'detection', size=128)
        batch['inputs'] = batch['inputs'].double()
        for sample in batch['data_samples']:
            boxes = sample.gt_instances.bboxes.double()
            sample.gt_instances.bboxes = boxes
        total, _ = model.parse_losses(bare_loss(model, batch))
        total.backward()
        found.append(gradients(model))
    for name, gradient in found[0].items():
        if gradient is not None:  # not frozen
            torch.testing.assert_close(
                found[1][name], gradient, rtol=1e-8, atol=1e-10, msg=name
            )


def test_heads_have_two_convs_and_the_anchors_of_their_levels():
    heads = [aux.host.head for aux in man().local_aux]
    strides = [[s[0] for s in h.prior_generator.strides] for h in heads]
    assert strides == [[8], [16], [32, 64, 128]]
    assert [len(head.cls_convs) for head in heads] == [2, 2, 2]
    assert [head.feat_channels for head in heads] == [16, 16, 16]


def test_average_of_a_copy_follows_its_own_backbone():
    model = build('detection', partition='stage', auxiliary=MAN_LEVEL)
    twin = copy.deepcopy(model)
    optimizer = torch.optim.SGD(twin.parameters(), lr=0.03)
    wrapper = LocalLearningOptimWrapper(optimizer)
    # Not a conv of the branch: behind it the scale is 0 at first.
    own, other = (
        m.local_aux[1].average.downsample[0].weight for m in (model, twin)
    )
    following = twin.backbone.layer3[0].downsample[0].weight
    expected = own
    for _ in range(2):
        twin.train_step(raw_data('detection', size=128), wrapper)
        expected = 0.995 * expected + 0.005 * following
    torch.testing.assert_close(other, expected, rtol=1e-6, atol=1e-8)
    assert not other.equal(own)
