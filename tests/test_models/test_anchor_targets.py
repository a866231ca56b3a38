# Copyright (c) mmfba authors.
import copy
import pickle

import pytest
import torch
from local_models import DETECTOR, bare_loss, build, data, gradients
from mmengine.config import Config
from mmengine.hub import get_config
from mmengine.optim import build_optim_wrapper
from mmengine.structures import InstanceData

from mmfba.models import anchor_assignment, anchor_targets
from mmfba.models.anchor_targets import AnchorTargets, why_not
from mmfba.models.build_model import build_model

SHARED_HEAD = dict(
    auxiliary=dict(
        neck=dict(out_channels=16),
        head=dict(type='mmfba.TaskHead', mode='shared'),
    )
)


@pytest.fixture
def calls(monkeypatch):
    """How many batches were assigned."""
    assign, asked = anchor_targets.assign, []

    def counted(*args):
        asked.append(args)
        return assign(*args)

    monkeypatch.setattr(anchor_targets, 'assign', counted)
    return asked


@pytest.fixture
def upstream_calls(monkeypatch):
    """What MaxIoUAssigner was asked."""
    from mmdet.models.task_modules.assigners import MaxIoUAssigner

    assign, asked = MaxIoUAssigner.assign, []

    def counted(self, *args, **kwargs):
        asked.append(args)
        return assign(self, *args, **kwargs)

    monkeypatch.setattr(MaxIoUAssigner, 'assign', counted)
    return asked


def random_batch(seed):
    """Three images: empty ones, many boxes, equal boxes, boxes outside, an
    image that is not as high as the batch."""
    from mmdet.structures import DetDataSample

    rng = torch.Generator().manual_seed(seed)
    height, width = ((96, 128), (100, 167))[seed % 2]
    shape = tuple(-(-side // 32) * 32 for side in (height, width))
    samples = []
    for index in range(3):
        most = (60 if seed % 5 == 0 else 8) * ((seed + index) % 4 > 0)
        number = int(torch.randint(0, most + 1, (1,), generator=rng))
        sides = torch.tensor([width, height]) * 1.2
        centers = torch.rand(number, 2, generator=rng) * sides - 10
        half = torch.rand(number, 2, generator=rng) * 40
        boxes = torch.cat([centers - half, centers + half], 1)
        if number > 2:
            boxes[2] = boxes[0]
        padded = shape if index else (shape[0] - 32, shape[1])
        samples.append(
            DetDataSample(
                metainfo=dict(img_shape=(height, width), pad_shape=padded),
                gt_instances=InstanceData(
                    bboxes=boxes,
                    labels=torch.randint(4, (number,), generator=rng),
                ),
                ignored_instances=InstanceData(
                    bboxes=boxes[:1], labels=boxes.new_zeros(len(boxes[:1]))
                ),
            )
        )
    strides = (8, 16, 32, 64, 128)
    sizes = [tuple(-(-side // s) for side in shape) for s in strides]
    return samples, sizes


def found_by(head, samples, sizes):
    from mmdet.models.utils import unpack_gt_instances

    gts, ignored, metas = unpack_gt_instances(samples)
    anchors, valid = head.get_anchors(sizes, metas, 'cpu')
    return head.get_targets(anchors, valid, gts, metas, ignored)


@pytest.mark.parametrize(
    'assigner', [{}, dict(min_pos_iou=0.2), dict(match_low_quality=False)]
)
@pytest.mark.parametrize('elements', [1, 2**14, 2**22])
def test_equal_to_those_of_mmdet(elements, assigner, monkeypatch):
    monkeypatch.setattr(anchor_assignment, 'ELEMENTS', elements)
    train_cfg = copy.deepcopy(DETECTOR['train_cfg'])
    train_cfg['assigner'].update(assigner)
    train_cfg['pos_weight'] = 0.5 if assigner else -1
    coder = dict(target_stds=[0.1, 0.1, 0.2, 0.2]) if assigner else {}
    head = build(
        'detection',
        dict(train_cfg=train_cfg, bbox_head=dict(bbox_coder=coder)),
    ).bbox_head
    targets = AnchorTargets(head, [head])
    positive = 0
    for seed in range(12):
        samples, sizes = random_batch(seed)
        *expected, count = found_by(head, samples, sizes)
        with targets.of_batch(samples):
            *got, own = found_by(head, samples, sizes)
        assert own.item() == count
        for mine, theirs in zip(got, expected):
            for level, other in zip(mine, theirs):
                assert torch.equal(level, other)
                assert level.dtype == other.dtype
        positive += count
    assert positive > 100


def stepper(model, **options):
    optimizer = dict(type='SGD', lr=0.0)
    wrapper = build_optim_wrapper(
        model,
        dict(
            type='mmfba.LocalLearningOptimWrapper',
            optimizer=optimizer,
            **options,
        ),
    )
    wrapper.initialize_count_status(model, 0, 4)
    return wrapper


@pytest.mark.parametrize(
    'options',
    [
        dict(num_modules=3),
        dict(num_modules=3, chunk=1),
        dict(num_modules=1, chunk=1),
        dict(num_modules=3, **SHARED_HEAD),
    ],
)
def test_a_batch_is_assigned_once_a_step(options, calls, upstream_calls):
    """Also where the same batch comes again and steps are accumulated."""
    model = build('detection', **options)
    wrapper = stepper(model, accumulative_counts=2)
    batch = data(model, 'detection')
    for step in range(1, 4):
        with wrapper.optim_context(model):
            losses = model(**batch, mode='loss')
            total, _ = model.parse_losses(losses)
        wrapper.update_params(total)
        assert len(calls) == step
    assert not upstream_calls


def by_mmdet(model):
    """Heads that assign for themselves and run level by level."""
    model.anchor_targets = None
    for aux in model.local_aux:
        assert aux._targets is not None
        aux._targets = None
        aux.head.assigner = copy.deepcopy(aux.head.assigner)
    return model


def outcome(model, memory_format=torch.contiguous_format):
    model = model.double().to(memory_format=memory_format)
    batch = data(model, 'detection')
    batch['inputs'] = batch['inputs'].double()
    total, logs = model.parse_losses(bare_loss(model, batch))
    total.backward()
    return logs, gradients(model)


def assert_same(got, expected):
    for mine, theirs in zip(got, expected):
        assert mine.keys() == theirs.keys()
        for name in mine:
            assert torch.allclose(
                mine[name], theirs[name], rtol=1e-9, atol=1e-11
            ), name


@pytest.mark.parametrize(
    'head', [{}, dict(norm_cfg=dict(type='GN', num_groups=4))]
)
@pytest.mark.parametrize('options', [{}, dict(chunk=1), dict(fast_head=True)])
@pytest.mark.parametrize(
    'memory_format', [torch.contiguous_format, torch.channels_last]
)
def test_losses_and_gradients_are_those_of_mmdet(options, head, memory_format):
    if head and 'fast_head' in options:
        with pytest.raises(ValueError, match='fast_head=True: its convs'):
            build('detection', dict(bbox_head=head), num_modules=3, **options)
        return
    fast, own = (
        build('detection', dict(bbox_head=head), num_modules=3, **options)
        for _ in range(2)
    )
    if 'fast_head' in options:
        own = build('detection', dict(bbox_head=head), num_modules=3)
    got, expected = (outcome(m, memory_format) for m in (fast, by_mmdet(own)))
    if not options:
        assert torch.equal(got[0]['loss_cls'], expected[0]['loss_cls'])
    assert_same(got, expected)


CHANGES = dict(
    allowed_border=lambda head: head.train_cfg.update(allowed_border=0),
    decoded=lambda head: setattr(head, 'reg_decoded_bbox', True),
    reduction=lambda head: setattr(head.loss_bbox, 'reduction', 'none'),
    loss_weight=lambda head: setattr(head.loss_cls, 'loss_weight', 3.0),
    threshold=lambda head: setattr(head.assigner, 'pos_iou_thr', 0.3),
)


@pytest.mark.parametrize('change', CHANGES)
@pytest.mark.parametrize('fast_head', [False, True])
@pytest.mark.parametrize('num_modules', [1, 3])
def test_what_a_hook_changes_in_the_head_has_its_effect(
    num_modules, fast_head, change
):
    models = [
        build('detection', num_modules=num_modules, fast_head=fast)
        for fast in (fast_head, False)
    ]
    by_mmdet(models[1])
    for model in models:
        outcome(model)
        model.zero_grad()
    for model in models:
        CHANGES[change](model.bbox_head)
    assert_same(*map(outcome, models))


def test_a_method_that_is_set_on_the_head_is_called():
    model = build('detection', num_modules=2)
    asked, get_targets = [], model.bbox_head.get_targets

    def own(*args, **kwargs):
        asked.append(args)
        return get_targets(*args, **kwargs)

    model.bbox_head.get_targets = own
    bare_loss(model, data(model, 'detection'))
    assert asked


@pytest.mark.parametrize('order', [[1, 0], [0, 0], [0, 2]])
def test_other_images_than_the_batch_s_are_assigned_by_mmdet(order):
    head = build('detection').bbox_head
    samples, sizes = random_batch(1)
    some = [samples[i] for i in order]
    expected = found_by(head, some, sizes)
    with AnchorTargets(head, [head]).of_batch(samples):
        got = found_by(head, some, sizes)
    assert got[-1] == expected[-1]
    for mine, theirs in zip(got[:-1], expected[:-1]):
        assert all(map(torch.equal, mine, theirs))


def test_a_step_sees_what_changed_in_its_batch():
    """Boxes moved in place, and the threshold of the main head's assigner."""
    model, fresh = (build('detection', num_modules=2) for _ in range(2))
    batch = data(model, 'detection')
    bare_loss(model, batch)
    for some in (model, fresh):
        some.bbox_head.assigner.pos_iou_thr = 0.6
    for sample in batch['data_samples']:
        sample.gt_instances.bboxes.mul_(0.75)
    losses = model.parse_losses(bare_loss(model, batch))[1]
    expected = fresh.parse_losses(bare_loss(fresh, batch))[1]
    assert losses == expected


def test_nothing_is_left_of_a_step_that_fails(calls, monkeypatch):
    model = build('detection', num_modules=2)
    batch = data(model, 'detection')
    with monkeypatch.context() as patched:
        # Behind the auxiliary head, which has assigned by then.
        patched.setattr(model.neck, 'forward', lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            bare_loss(model, batch)
    assert len(calls) == 1 and not model.anchor_targets._found
    assert 'get_targets' not in vars(model.bbox_head)
    bare_loss(model, batch)
    assert len(calls) == 2


def test_a_loss_outside_a_step_is_that_of_mmdet(calls, upstream_calls):
    model = build('detection', num_modules=2)
    batch = data(model, 'detection')
    features = model.extract_feat(batch['inputs'])
    for number in range(1, 4):
        model.bbox_head.loss(features, batch['data_samples'])
        assert len(upstream_calls) == number * len(batch['data_samples'])
    assert not calls


def through_pickle(obj):
    return pickle.loads(pickle.dumps(obj))


@pytest.mark.parametrize('copied', [copy.deepcopy, through_pickle])
def test_copies_are_on_their_own(copied, calls):
    model = build('detection', num_modules=2)
    batch = data(model, 'detection')
    bare_loss(model, batch)
    twin = copied(model)
    targets = twin.anchor_targets
    assert targets is not model.anchor_targets
    assert targets.head is twin.bbox_head and targets.heads == [targets.head]
    assert twin.local_aux[0]._targets is targets
    for number, some in enumerate((twin, model, twin), 2):
        bare_loss(some, batch)
        assert len(calls) == number


@pytest.mark.parametrize('copied', [copy.deepcopy, through_pickle])
def test_a_copy_in_the_middle_of_a_step_remembers_nothing(
    copied, upstream_calls
):
    model = build('detection', num_modules=2)
    batch, copies = data(model, 'detection'), []
    features = model.extract_feat(batch['inputs'])
    forward = model.neck.forward

    def copying(*args):
        copies.append(copied(model.bbox_head))
        return forward(*args)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(model.neck, 'forward', copying)
        bare_loss(model, batch)
    (twin,) = copies
    assert not upstream_calls
    losses = twin.loss(features, batch['data_samples'])
    assert len(upstream_calls) == len(batch['data_samples'])
    expected = model.bbox_head.loss(features, batch['data_samples'])
    for name in expected:
        assert torch.equal(*map(torch.stack, (losses[name], expected[name])))


OWN = ('get_anchors', 'get_targets', '_get_targets_single', 'loss_by_feat')


@pytest.mark.parametrize('method', OWN)
def test_heads_with_a_method_of_their_own_do_not_share(
    method, calls, upstream_calls
):
    """Nothing is known of the priors that they assign."""
    from mmdet.models import RetinaHead
    from mmdet.registry import MODELS

    def own(self, *args, **kwargs):
        return getattr(RetinaHead, method)(self, *args, **kwargs)

    head = type('OwnHead', (RetinaHead,), {method: own})
    MODELS.register_module(module=head, force=True)
    options = dict(bbox_head=dict(type='OwnHead'))
    copy = dict(head=dict(type='mmfba.TaskHead'))
    model = build('detection', options, num_modules=2, auxiliary=copy)
    batch = data(model, 'detection')
    bare_loss(model, batch)
    assert not calls
    assert len(upstream_calls) == 2 * len(batch['data_samples'])


def test_learned_anchors_are_each_head_s_own(calls, upstream_calls):
    from mmdet.testing import demo_mm_inputs

    cfg = get_config('mmdet::guided_anchoring/ga-retinanet_r50_fpn_1x_coco.py')
    cfg.model.type = 'mmfba.LocalSingleStageDetector'
    cfg.model.local_learning = dict(num_modules=2)
    cfg.model.backbone.init_cfg = None
    torch.manual_seed(0)
    model = build_model(Config(cfg.to_dict()))
    batch = demo_mm_inputs(2, [[3, 128, 128]] * 2, num_classes=80)
    bare_loss(model, model.data_preprocessor(batch, True))
    assert upstream_calls and not calls


SAMPLER = dict(type='RandomSampler', num=8, pos_fraction=0.5)


@pytest.mark.parametrize(
    'train_cfg, assigner, reason',
    [
        (
            dict(sampler=dict(SAMPLER, add_gt_as_proposals=False)),
            {},
            'RandomSampler is not PseudoSampler',
        ),
        (
            {},
            dict(perm_repeat_gt_cfg=dict(iou_thr=0.9, perm_range=0.1)),
            'equal boxes',
        ),
        ({}, dict(gt_max_assign_all=False), 'equal boxes'),
        ({}, dict(ignore_iof_thr=0.5), 'ignored boxes'),
        ({}, dict(neg_iou_thr=(0.1, 0.4)), 'neg_iou_thr'),
        (
            {},
            dict(iou_calculator=dict(type='BboxOverlaps2D', dtype='fp16')),
            'overlaps',
        ),
        (dict(allowed_border=0), {}, 'allowed_border'),
    ],
)
def test_other_ways_are_left_to_mmdet(train_cfg, assigner, reason, calls):
    train_cfg = {
        **DETECTOR['train_cfg'],
        **train_cfg,
        'assigner': dict(DETECTOR['train_cfg']['assigner'], **assigner),
    }
    model = build('detection', dict(train_cfg=train_cfg), num_modules=2)
    assert reason in why_not(model.bbox_head)
    assert model.anchor_targets is None
    bare_loss(model, data(model, 'detection'))
    assert not calls


def test_decoded_boxes_are_left_to_mmdet(calls):
    box = dict(
        reg_decoded_bbox=True,
        loss_bbox=dict(type='GIoULoss', loss_weight=2.0),
    )
    model = build('detection', dict(bbox_head=box), num_modules=2)
    assert 'reg_decoded_bbox' in why_not(model.bbox_head)
    bare_loss(model, data(model, 'detection'))
    assert not calls


def test_priors_with_weights_are_not_shared(calls):
    from mmdet.models.task_modules.prior_generators import AnchorGenerator
    from mmdet.registry import TASK_UTILS

    class Learned(AnchorGenerator, torch.nn.Module):
        def __init__(self, **kwargs):
            torch.nn.Module.__init__(self)
            AnchorGenerator.__init__(self, **kwargs)

    TASK_UTILS.register_module(module=Learned, force=True)
    generator = dict(DETECTOR['bbox_head']['anchor_generator'], type='Learned')
    options = dict(anchor_generator=generator)
    model = build('detection', dict(bbox_head=options), num_modules=2)
    bare_loss(model, data(model, 'detection'))
    assert not calls


def test_memory_of_many_boxes_is_bounded():
    """100 boxes in each of two images of 800x1344, some 201,000 anchors."""
    from mmfba.local.memory import PeakTracker

    head = build('detection').bbox_head
    anchors = torch.empty(201_000, 4, device='meta')
    boxes = torch.empty(2, 100, 4, device='meta')
    real = torch.empty(2, 100, dtype=torch.bool, device='meta')
    with PeakTracker() as tracker:
        anchor_assignment.assign(head.assigner, anchors, boxes, real)
    assert tracker.peak < 9 * 4 * anchor_assignment.ELEMENTS


@pytest.mark.parametrize('task', ['classification', 'super-resolution'])
def test_fast_head_needs_a_head_with_anchors(task):
    with pytest.raises(ValueError, match='fast_head=True.*leave it out'):
        build(task, num_modules=2, fast_head=True)
