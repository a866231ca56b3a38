# Copyright (c) mmfba authors.
import pytest
import torch
from local_models import bare_loss, build, data, gradients
from mmdet.models.backbones import ResNet
from mmdet.registry import MODELS
from specs import make_spec, run_units

from mmfba.models.auxiliary import SLMLevel

LEVEL = dict(neck=dict(type='mmfba.SLMLevel'))


BACKBONE = ResNet(18, base_channels=8, norm_eval=False)
BACKBONE.train()
ENDS = [f'layer{stage}.1' for stage in (1, 2, 3, 4)]
FROM_C2 = dict(num_outs=5)
FROM_C3 = dict(start_level=1, add_extra_convs='on_input', num_outs=5)


def make(cut, options):
    neck = dict(type='FPN', in_channels=[8, 16, 32, 64], out_channels=12)
    read = [None] * options.get('start_level', 0)
    read += ENDS[len(read) :]
    spec = make_spec(BACKBONE, cut, MODELS, (), read, dict(neck, **options))
    return SLMLevel(spec)


@pytest.mark.parametrize(
    'options, cut, stage, strides',
    [
        (FROM_C3, 'stem', 2, [8]),
        (FROM_C3, 'layer1.1', 2, [8]),
        (FROM_C3, 'layer2.0', 2, [8]),
        (FROM_C3, 'layer2.1', 3, [16]),
        (FROM_C3, 'layer3.1', 4, [32, 64, 128]),
        (FROM_C3, 'layer4.0', 4, [32, 64, 128]),
        (FROM_C2, 'stem', 1, [4]),
        (FROM_C2, 'layer3.1', 4, [32, 64]),
    ],
)
def test_levels_are_those_of_the_next_stage(options, cut, stage, strides):
    neck = make(cut, options)
    assert list(neck.slm.channels) == [stage]
    first = 8 if 'start_level' in options else 4
    assert [first * 2**i for i in range(5)][neck.predicted_levels] == strides
    images = torch.rand(2, 3, 256, 128)
    maps = neck(run_units(BACKBONE, images)[cut], None)
    expected = [(2, 12, 256 // s, 128 // s) for s in strides]
    assert [tuple(m.shape) for m in maps] == expected


def test_what_it_cannot_do_is_refused():
    with pytest.raises(ValueError, match="after 'layer4.1'"):
        make('layer4.1', FROM_C3)
    with pytest.raises(ValueError, match=r'neck\.type=mmfba\.SLMLevel'):
        neck = dict(neck=dict(type='PAFPN'))
        build('detection', neck, num_modules=3, auxiliary=LEVEL)
    with pytest.raises(ValueError, match=r"head\.mode='shared'.*some levels"):
        auxiliary = dict(LEVEL, head=dict(mode='shared'))
        build('detection', num_modules=3, auxiliary=auxiliary)
    fcos = dict(
        _delete_=True,
        type='FCOSHead',
        norm_cfg=None,
        num_classes=4,
        in_channels=16,
        feat_channels=16,
        stacked_convs=2,
    )
    with pytest.raises(ValueError, match='FCOSHead has no anchors'):
        fcos = dict(bbox_head=fcos)
        build('detection', fcos, num_modules=3, auxiliary=LEVEL)


def test_boxes_of_other_levels_are_no_targets():
    """A large box has no anchor on P3; the main head would match the best."""
    model = build('detection', num_modules=4, auxiliary=LEVEL)
    batch = data(model, 'detection', size=128)
    for sample in batch['data_samples']:
        boxes = torch.tensor([[2.0, 2, 126, 126], [30, 30, 62, 62]])
        sample.gt_instances = sample.gt_instances.new(
            bboxes=boxes, labels=torch.tensor([1, 2])
        )
    targets = []
    for aux in model.local_aux:
        head = aux.head
        strides = head.prior_generator.strides
        sizes = [(128 // h, 128 // w) for w, h in strides]
        metas = [s.metainfo for s in batch['data_samples']]
        anchors, valid = head.get_anchors(sizes, metas, 'cpu')
        labels = head.get_targets(
            anchors,
            valid,
            [s.gt_instances for s in batch['data_samples']],
            metas,
        )[0]
        labels = torch.cat([level.flatten() for level in labels])
        targets.append(sorted(set(labels.tolist()) - {4}))
    # Anchors are 32 pixels at P3 and 128 at P5.
    assert targets[0] == [2]
    assert 1 in targets[2] and 2 not in targets[2]


@pytest.mark.parametrize('chunk', [None, 1])
def test_each_module_is_trained(chunk):
    model = build('detection', num_modules=4, auxiliary=LEVEL, chunk=chunk)
    losses = bare_loss(model, data(model, 'detection', size=128))
    model.parse_losses(losses)[0].backward()
    assert {f'aux{i}/cls' for i in range(3)} <= set(losses)
    names = [n for n, g in gradients(model).items() if g is None]
    assert not names
