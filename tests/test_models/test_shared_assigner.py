# Copyright (c) mmfba authors.
import copy
import pickle

import pytest
import torch
from local_models import DETECTOR, bare_loss, build, data, gradients
from mmengine.config import Config
from mmengine.hub import get_config
from mmengine.optim import build_optim_wrapper

from mmfba.models.build_model import build_model

STOCK = dict(
    retinanet='mmdet::retinanet/retinanet_r50_fpn_1x_coco.py',
    guided='mmdet::guided_anchoring/ga-retinanet_r50_fpn_1x_coco.py',
)
SHARED_HEAD = dict(
    auxiliary=dict(
        neck=dict(out_channels=16),
        head=dict(type='mmfba.TaskHead', mode='shared'),
    )
)


@pytest.fixture
def calls(monkeypatch):
    """What MaxIoUAssigner was asked."""
    from mmdet.models.task_modules.assigners import MaxIoUAssigner

    assign, asked = MaxIoUAssigner.assign, []

    def counted(self, *args, **kwargs):
        asked.append(args)
        return assign(self, *args, **kwargs)

    monkeypatch.setattr(MaxIoUAssigner, 'assign', counted)
    return asked


def stock_model(name):
    """A local model of a stock config, and a batch of small images."""
    from mmdet.testing import demo_mm_inputs

    cfg = get_config(STOCK[name])
    cfg.model.type = 'mmfba.LocalSingleStageDetector'
    cfg.model.local_learning = dict(num_modules=2)
    cfg.model.backbone.init_cfg = None
    torch.manual_seed(0)
    model = build_model(Config(cfg.to_dict()))
    model.init_weights()
    batch = demo_mm_inputs(2, [[3, 128, 128]] * 2, num_classes=80)
    return model.train(), model.data_preprocessor(batch, True)


@pytest.mark.parametrize('name', STOCK)
def test_every_head_has_the_targets_of_an_assigner_of_its_own(
    name, monkeypatch
):
    """Of GARetinaHead's predicted anchors, too."""
    from mmdet.models import AnchorHead
    from mmdet.registry import TASK_UTILS

    model, batch = stock_model(name)
    heads = [model.bbox_head, *(aux.head for aux in model.local_aux)]
    if name == 'guided':
        for head in heads:  # anchors of their own, as after some training
            torch.nn.init.normal_(head.conv_shape.weight, std=0.2)
    get_targets, found = AnchorHead._get_targets_single, []

    def recorded(head, *args, **kwargs):
        found.append((head, args, kwargs, get_targets(head, *args, **kwargs)))
        return found[-1][-1]

    monkeypatch.setattr(AnchorHead, '_get_targets_single', recorded)
    bare_loss(model, batch)
    assert [head for head, *_ in found] == [heads[1]] * 2 + [heads[0]] * 2
    for head, args, kwargs, targets in found:
        head.assigner = TASK_UTILS.build(head.train_cfg['assigner'])
        own = get_targets(head, *args, **kwargs)
        assert all(map(torch.equal, targets[:6], own[:6])), type(head)
        assert len(targets[4])  # there are positive anchors
    auxiliary, _, main, _ = found
    same = torch.equal(auxiliary[-1][0], main[-1][0])
    assert same == (name == 'retinanet')


@pytest.mark.parametrize(
    'options',
    [
        dict(num_modules=3),
        dict(num_modules=3, chunk=1),
        dict(num_modules=1, chunk=1),
        dict(num_modules=3, **SHARED_HEAD),
    ],
)
def test_each_image_is_assigned_once_a_step(options, calls):
    """Also where the same batch comes again and steps are accumulated."""
    model = build('detection', **options)
    optimizer = dict(type='SGD', lr=0.0)
    wrapper = build_optim_wrapper(
        model,
        dict(
            type='mmfba.LocalLearningOptimWrapper',
            optimizer=optimizer,
            accumulative_counts=2,
        ),
    )
    wrapper.initialize_count_status(model, 0, 4)
    batch = data(model, 'detection')
    for step in range(1, 4):
        with wrapper.optim_context(model):
            losses = model(**batch, mode='loss')
            total, _ = model.parse_losses(losses)
        wrapper.update_params(total)
        assert len(calls) == step * len(batch['data_samples'])


def test_losses_and_gradients_are_those_of_assigners_of_their_own():
    shared = build('detection', num_modules=3)
    own = build('detection', num_modules=3)
    for head in (own.bbox_head, *(aux.head for aux in own.local_aux)):
        head.assigner = copy.deepcopy(head.assigner)
    for model in (shared, own):
        losses = bare_loss(model, data(model, 'detection'))
        model.parse_losses(losses)[0].backward()
    expected = gradients(own)
    for name, grad in gradients(shared).items():
        assert torch.equal(grad, expected[name]), name


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
    assert len(calls) == len(batch['data_samples'])
    bare_loss(model, batch)
    assert len(calls) == 2 * len(batch['data_samples'])


def test_a_loss_outside_a_step_is_assigned_anew(calls):
    model = build('detection', num_modules=2)
    batch = data(model, 'detection')
    features = model.extract_feat(batch['inputs'])
    for number in range(1, 4):
        model.bbox_head.loss(features, batch['data_samples'])
        assert len(calls) == number * len(batch['data_samples'])


def through_pickle(obj):
    return pickle.loads(pickle.dumps(obj))


@pytest.mark.parametrize('copied', [copy.deepcopy, through_pickle])
def test_copies_are_on_their_own(copied, calls):
    model = build('detection', num_modules=2)
    batch = data(model, 'detection')
    bare_loss(model, batch)
    twin = copied(model)
    assert twin.bbox_head.assigner is not model.bbox_head.assigner
    for number, some in enumerate((twin, model, twin), 2):
        bare_loss(some, batch)
        assert len(calls) == number * len(batch['data_samples'])


@pytest.mark.parametrize('copied', [copy.deepcopy, through_pickle])
def test_a_copy_in_the_middle_of_a_step_remembers_nothing(copied, calls):
    model = build('detection', num_modules=2)
    batch, copies = data(model, 'detection'), []
    model.bbox_head.register_forward_hook(
        lambda head, *_: copies.append(copied(head.assigner))
    )
    bare_loss(model, batch)
    (twin,) = copies
    args, number = calls[0], len(calls)
    for again in range(1, 3):
        result = twin.assign(*args)
        assert len(calls) == number + again
        own = model.bbox_head.assigner.assign(*args)
        assert torch.equal(result.gt_inds, own.gt_inds)
        number += 1


OWN = ('get_anchors', 'get_targets', '_get_targets_single', 'loss_by_feat')


@pytest.mark.parametrize('method', OWN)
def test_heads_with_a_method_of_their_own_do_not_share(method, calls):
    """Nothing is known of the priors that they assign."""
    from mmdet.models import RetinaHead
    from mmdet.registry import MODELS

    def own(self, *args, **kwargs):
        return getattr(RetinaHead, method)(self, *args, **kwargs)

    head = type('OwnHead', (RetinaHead,), {method: own})
    MODELS.register_module(module=head, force=True)
    options = dict(bbox_head=dict(type='OwnHead'))
    model = build('detection', options, num_modules=2)
    batch = data(model, 'detection')
    bare_loss(model, batch)
    assert len(calls) == 2 * len(batch['data_samples'])


SAMPLER = dict(type='RandomSampler', num=8, pos_fraction=0.5)
PERMUTED = dict(perm_repeat_gt_cfg=dict(iou_thr=0.9, perm_range=0.1))


@pytest.mark.parametrize(
    'train_cfg',
    [
        dict(sampler=dict(SAMPLER, add_gt_as_proposals=False)),
        dict(assigner=dict(DETECTOR['train_cfg']['assigner'], **PERMUTED)),
    ],
)
def test_what_is_drawn_at_random_is_not_shared(train_cfg, calls):
    model = build('detection', dict(train_cfg=train_cfg), num_modules=2)
    batch = data(model, 'detection')
    bare_loss(model, batch)
    assert len(calls) == 2 * len(batch['data_samples'])


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
    batch = data(model, 'detection')
    bare_loss(model, batch)
    assert len(calls) == 2 * len(batch['data_samples'])
