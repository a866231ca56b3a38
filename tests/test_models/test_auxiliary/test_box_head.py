# Copyright (c) mmfba authors.
import pytest
import torch
from local_models import build, gradients, raw_data
from mmdet.models.dense_heads import FCOSHead
from mmdet.registry import MODELS
from mmdet.testing import demo_mm_inputs
from mmengine.hub import get_config
from mmengine.registry import init_default_scope
from strided_features import make_maps, make_spec
from torch import nn

from mmfba.engine.optim_wrappers import LocalLearningOptimWrapper
from mmfba.local import backward_by_chunks
from mmfba.models.auxiliary import BoxHead, FBAAuxiliary

NECK, HEAD = dict(type='mmfba.LocalFPN'), dict(type='mmfba.BoxHead')
SIZE = (96, 128)
# Cut and bank: several levels, the one stage of a vision transformer, and a
# cut right behind the stem.
CUTS = pytest.mark.parametrize(
    'cut, readable', [('c', ['a1', 'b1']), ('c', []), ('a0', [])]
)


def main_head(classes=4):
    head = nn.Module()
    head.num_classes = classes
    return head


def make(cut='c', readable=(), neck=NECK, head_module=None, **options):
    spec = make_spec(cut, readable, head_module=head_module or main_head())
    torch.manual_seed(0)
    aux = FBAAuxiliary(spec, neck, dict(HEAD, **options)).double()
    aux.init_weights()
    return aux


def make_samples(boxes, num_classes=4, with_mask=False):
    """Annotations as the data preprocessor hands them out."""
    batch = demo_mm_inputs(
        len(boxes),
        [[3, *SIZE]] * len(boxes),
        num_items=boxes,
        num_classes=num_classes,
        with_mask=with_mask,
        use_box_type=True,
    )
    preprocessor = MODELS.build(dict(type='mmdet.DetDataPreprocessor'))
    return preprocessor(batch, True)['data_samples']


def losses_and_gradients(aux, boxes, chunk, cut='c'):
    """Of one step, ``chunk`` images at a time; None for the plain loss."""
    maps, bank = make_maps(make_spec(cut), SIZE, num_images=len(boxes))
    samples = make_samples(boxes)
    if chunk is None:
        losses = aux.loss(maps[cut], bank, samples)
        sum(losses.values()).backward()
    else:
        part = aux.image_wise(maps[cut], bank, samples)
        losses = backward_by_chunks(part, chunk, torch.Tensor.backward)
    losses = {name: loss.detach().double() for name, loss in losses.items()}
    return losses, gradients(aux), maps[cut].grad


@pytest.mark.parametrize('boxes', [[3, 1, 0, 7, 2], [0, 5], [0, 0, 0]])
@pytest.mark.parametrize('chunk', [1, 2])
@CUTS
def test_chunks_equal_the_whole_batch(cut, readable, boxes, chunk):
    arms = []
    for size in (None, chunk):
        aux = make(cut, readable)
        aux.check_image_wise()
        arms.append(losses_and_gradients(aux, boxes, size, cut))
    for name, grad in arms[0][1].items():
        assert grad is not None, name
    # The head works out boxes in single precision.
    torch.testing.assert_close(*arms, rtol=1e-5, atol=1e-7)


@CUTS
def test_loss_goes_down(cut, readable):
    aux = make(cut, readable).float()
    maps, bank = make_maps(make_spec(cut), SIZE, 4, torch.float)
    samples = make_samples([3, 1, 0, 5], with_mask=True)
    x = maps[cut]
    optimizer = torch.optim.AdamW([*aux.parameters(), x], lr=1e-2)
    totals = []
    for _ in range(40):
        losses = aux.loss(x, bank, samples)
        totals.append(sum(losses.values()))
        optimizer.zero_grad()
        totals[-1].backward()
        optimizer.step()
    assert set(losses) == {'loss_cls', 'loss_bbox', 'loss_centerness'}
    assert totals[-1] < 0.7 * totals[0]


def test_gradient_reaches_the_cut_and_not_the_bank():
    aux = make('c', ['a1', 'b1'])
    maps, bank = make_maps(make_spec('c'), SIZE)
    sum(aux.loss(maps['c'], bank, make_samples([3, 2])).values()).backward()
    assert maps['c'].grad.abs().sum() > 0
    assert maps['a1'].grad is None and maps['b1'].grad is None
    assert all(p.grad is not None for p in aux.parameters())


def test_images_without_boxes_have_a_loss():
    aux = make('c')
    losses, grads, grad = losses_and_gradients(aux, [0, 0], None)
    assert losses['loss_cls'] > 0
    assert losses['loss_bbox'] == losses['loss_centerness'] == 0
    assert grad.isfinite().all() and grad.abs().sum() > 0


def test_it_is_a_slim_head_of_mmdet():
    head = make('c', stacked_convs=1).head
    assert isinstance(head, FCOSHead) and head.on_canvas
    assert head.stacked_convs == 1 and make('c').head.stacked_convs == 2
    assert head.in_channels == head.feat_channels == 32
    assert head.strides == [16, 32, 64]
    assert head.num_classes == 4


@pytest.mark.parametrize('width', [8, 12, 33])
def test_any_width(width):
    aux = make('c', neck=dict(NECK, out_channels=width))
    assert aux.head.cls_convs[0].norm.normalized_shape == (width,)
    loss, _, _ = losses_and_gradients(aux, [1], None)
    assert all(value.isfinite() for value in loss.values())


def test_ranges_are_those_of_fcos():
    spec = make_spec('b0', head_module=main_head())
    head = BoxHead(spec, 32, (8, 16, 32, 64, 128))
    assert tuple(head.regress_ranges) == FCOSHead(4, 32).regress_ranges
    assert BoxHead(spec, 32, (16,)).regress_ranges == [(-1, 1e8)]


def targets(head, samples):
    """Labels and distances that the points of each level have to learn."""
    sizes = [(SIZE[0] // s, SIZE[1] // s) for s in head.strides]
    points = head.prior_generator.grid_priors(sizes, device='cpu')
    return head.get_targets(points, [s.gt_instances for s in samples])


def test_targets_are_the_boxes_and_their_classes():
    head = make('c').head
    (sample,) = make_samples([1])
    sample.gt_instances.bboxes = torch.tensor([[10.0, 20, 90, 70]])
    sample.gt_instances.labels = torch.tensor([3])
    labels, boxes = targets(head, [sample])
    inside = labels[0] == 3
    assert set(torch.cat(labels).tolist()) == {3, 4}
    # Of stride 16, points at 24, 40, .. 88 by 24, 40, 56; no others.
    assert inside.sum() == 5 * 3 and (labels[1] == 4).all()
    distances = boxes[0][inside][0] * 16
    assert distances.tolist() == [14, 4, 66, 46]


def test_labels_are_true_after_a_two_stage_detectors_loss():
    """It sets labels of a copy to zero, for its first stage."""
    cfg = get_config('mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py').model
    init_default_scope('mmdet')
    cfg.backbone = dict(type='ResNet', depth=18, base_channels=8)
    cfg.neck.update(in_channels=[8, 16, 32, 64], out_channels=8)
    cfg.rpn_head.update(in_channels=8, feat_channels=8)
    cfg.roi_head.bbox_roi_extractor.out_channels = 8
    cfg.roi_head.bbox_head.update(
        in_channels=8, fc_out_channels=8, num_classes=7
    )
    model = MODELS.build(cfg).train()
    samples = make_samples([3, 0, 4], num_classes=7)
    labels = [s.gt_instances.labels.clone() for s in samples]
    assert torch.cat(labels).any()
    model.loss(torch.rand(3, 3, *SIZE), samples)
    for sample, expected in zip(samples, labels):
        assert sample.gt_instances.labels.equal(expected)
    head = make('c', head_module=model.roi_head).head
    (levels, _), given = targets(head, samples), torch.cat(labels).tolist()
    learnt = set(torch.cat(levels).tolist()) - {7}
    assert learnt <= set(given) and learnt - {0}


def test_a_head_of_other_strides_is_refused():
    message = r"TaskHead.* \(4, 8, 16, 32, 64\): use .*'mmfba.BoxHead'"
    with pytest.raises(ValueError, match=message):
        build('detection', num_modules=4, auxiliary=dict(neck=NECK))


def local(**options):
    auxiliary = dict(neck=NECK, head=HEAD)
    return build('detection', num_modules=3, auxiliary=auxiliary, **options)


def test_a_step_trains_every_module():
    model = local()
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    # Large steps, since a small one may be rounded away from a weight.
    optimizer = torch.optim.SGD(model.parameters(), lr=10)
    logs = model.train_step(
        raw_data('detection'), LocalLearningOptimWrapper(optimizer)
    )
    assert all(value.isfinite() for value in logs.values())
    for name, p in model.named_parameters():
        # A block's last norm begins at zero, and its convs wait for it.
        if 'local_aux' in name and p.ndim > 1 or 'bn2.weight' in name:
            assert not p.equal(before[name]), name


def test_levels_are_the_main_neck_s():
    shapes = [(2, 16, n, n) for n in (16, 8, 4, 2, 1)]
    spec = make_spec('b0', head_module=main_head(), head_inputs=shapes)
    assert BoxHead(spec, 32).strides == [8, 16, 32, 64, 128]
    assert BoxHead(spec, 32, levels=slice(1, 3)).strides == [16, 32]
    model = build('detection', num_modules=2, auxiliary=dict(head=HEAD))
    strides = [s[0] for s in model.bbox_head.prior_generator.strides]
    assert model.local_aux[0].head.strides == strides
    with pytest.raises(ValueError, match='neck are not known: use .*LocalFPN'):
        BoxHead(make_spec('b0', head_module=main_head()), 32)


def test_a_copy_is_another_head():
    spec = make_spec('b0', head_module=main_head())
    with pytest.raises(ValueError, match="set .*type='mmfba.TaskHead'"):
        BoxHead(spec, 32, (8, 16), mode='shared')
