# Copyright (c) mmfba authors.
"""What hooks change in the main head holds for auxiliary heads too."""

import copy
import logging

import pytest
import torch
from local_models import build, losses
from mmengine.hooks import EMAHook, Hook
from mmengine.logging import MMLogger
from tiny_runner import TinyData, make_runner

PLAIN = dict(type='CrossEntropyLoss', loss_weight=0.5)
SMOOTH = dict(type='LabelSmoothLoss', label_smooth_val=0.2, mode='original')
YOLOX = dict(
    _delete_=True,
    type='YOLOXHead',
    num_classes=4,
    in_channels=16,
    feat_channels=16,
    stacked_convs=1,
    strides=(8, 16, 32),
)


class _Data(TinyData):
    """With what the hooks ask a data set for."""

    def get_gt_labels(self):
        return [0, 1, 1, 2, 2, 2, 3, 3, 3, 3]

    def update_skip_type_keys(self, keys):
        pass


class _OnAll(Hook):
    """Does to each head of a class what another hook does to the main one."""

    priority = 'VERY_LOW'

    def __init__(self, kind, change):
        self.kind, self.change = kind, change

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        for module in runner.model.modules():
            if type(module).__name__ == self.kind:
                self.change(module, runner.iter)


def train(
    folder,
    hooks,
    plain_options,
    task='classification',
    scope='mmpretrain',
    **options,
):
    """Weights after four steps with these hooks."""
    folder.mkdir()
    model = build(task, plain_options=plain_options, **options)
    runner = make_runner(
        model,
        folder,
        epochs=2,
        dataset=_Data(task),
        default_scope=scope,
        custom_hooks=hooks,
    )
    runner.train()
    return {k: v.clone() for k, v in model.state_dict().items()}


def assert_equal(one, other):
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert value.equal(other[name]), name
    assert any(name.startswith('local_aux.') for name in one)


def head(**options):
    return dict(head=dict(num_classes=4, **options))


@pytest.mark.parametrize(
    ('before', 'after'), [(PLAIN, SMOOTH), (SMOOTH, PLAIN)]
)
def test_loss_that_a_hook_switches(tmp_path, before, after):
    switch = dict(
        type='SwitchRecipeHook', schedule=[dict(action_epoch=1, loss=after)]
    )
    ema = dict(type=EMAHook)
    hooked, built, unchanged = (
        train(tmp_path / name, [*hooks, ema], head(loss=loss), num_modules=3)
        for name, hooks, loss in (
            ('hooked', [switch], before),
            ('built', [], after),
            ('unchanged', [], before),
        )
    )
    assert_equal(hooked, built)
    name = next(k for k in built if 'local_aux.0' in k and 'weight' in k)
    assert not built[name].equal(unchanged[name])


def test_margins_that_a_hook_sets(tmp_path):
    arcface = head(
        type='ArcFaceClsHead', in_channels=32, _delete_=True, margins=0.5
    )
    hook = dict(type='SetAdaptiveMarginsHook', power=1.0)
    hooked = train(tmp_path / 'a', [hook], arcface, num_modules=3)
    # Counts 1 to 4, from 0.05 to 0.5.
    arcface['head']['margins'] = [0.05, 0.2, 0.35, 0.5]
    built = train(tmp_path / 'b', [], arcface, num_modules=3)
    for name, value in built.items():
        torch.testing.assert_close(hooked[name], value, msg=name)


def test_parameter_of_the_loss_that_a_hook_warms_up(tmp_path):
    warmup = dict(
        type='WarmupParamHook',
        param_name='loss_weight',
        module_name='head.loss_module',
        warmup_epochs=2,
    )

    def on_all(loss, iteration):
        loss.loss_weight = iteration / 4

    hooked = train(tmp_path / 'a', [warmup], head(), num_modules=3)
    other = train(
        tmp_path / 'b',
        [_OnAll('CrossEntropyLoss', on_all)],
        head(),
        num_modules=3,
    )
    assert_equal(hooked, other)


@pytest.mark.parametrize('mode', ['slim', 'copy', 'shared'])
def test_flag_that_a_hook_sets(tmp_path, mode):
    switch = dict(type='mmdet.YOLOXModeSwitchHook', num_last_epochs=2)

    def on_all(head, iteration):
        head.use_l1 = True

    runs = [
        train(
            tmp_path / name,
            hooks,
            dict(
                bbox_head=YOLOX,
                neck=dict(num_outs=3),
                train_cfg=dict(
                    _delete_=True, assigner=dict(type='SimOTAAssigner')
                ),
            ),
            task='detection',
            scope='mmdet',
            num_modules=3,
            auxiliary=dict(
                neck=dict(out_channels=16),
                head=dict(type='mmfba.TaskHead', mode=mode),
            ),
        )
        for name, hooks in (
            ('hooked', [switch]),
            ('all', [_OnAll('YOLOXHead', on_all)]),
        )
    ]
    assert_equal(*runs)


def test_pixel_loss_that_is_replaced():
    from mmagic.registry import MODELS

    new = dict(type='MSELoss', loss_weight=2.0, reduction='mean')
    model = build('super-resolution', num_modules=3)
    losses(model, 'super-resolution')
    model.pixel_loss = MODELS.build(new)
    built = build(
        'super-resolution', plain_options=dict(pixel_loss=new), num_modules=3
    )
    ours, theirs = (losses(m, 'super-resolution')[1] for m in (model, built))
    assert ours == theirs


def test_copies_of_the_model_follow_on_their_own():
    model = build('classification', num_modules=3)
    keys = list(model.state_dict())
    losses(model, 'classification')
    model.head.loss_module = model.head.loss_module.__class__(loss_weight=3.0)
    twin = copy.deepcopy(model)
    logs = losses(twin, 'classification')[1]
    weights = [
        [
            m.loss_weight
            for m in each.local_aux.modules()
            if type(m).__name__ == 'CrossEntropyLoss'
        ]
        for each in (model, twin)
    ]
    assert weights == [[1.0, 1.0], [3.0, 3.0]]
    assert losses(model, 'classification')[1] == logs
    assert list(model.state_dict()) == list(twin.state_dict()) == keys


def test_what_a_head_changes_itself_stays_its_own():
    model = build('classification', num_modules=3)
    heads = [m for m in model.modules() if type(m).__name__ == 'LinearClsHead']
    assert len(heads) == 3

    def move(loss, args, output):
        loss.running = 0.5 * getattr(loss, 'running', 1.0) + output.item()

    for each in heads:
        each.loss_module.register_forward_hook(move)
    expected = [1.0] * 3
    for _ in range(3):
        logs = losses(model, 'classification')[1]
        now = [logs['loss'], logs['aux0/total'], logs['aux1/total']]
        expected = [0.5 * e + v.item() for e, v in zip(expected, now)]
    assert len(set(expected)) == 3
    found = sorted(each.loss_module.running for each in heads)
    assert found == pytest.approx(sorted(expected), rel=1e-6)


def test_values_of_all_kinds(caplog):
    model = build('detection', num_modules=3)
    kind = type(model.bbox_head)
    main, *others = [m for m in model.modules() if type(m) is kind]
    assert main is model.bbox_head and len(others) == 2
    losses(model, 'detection')
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    main.margins, main.scales = torch.zeros(3), [1, 2]
    losses(model, 'detection')
    main.margins.fill_(0.5)
    main.scales[0] = 3
    main.pair = torch.ones(2), torch.zeros(2)
    main.assigner.pos_iou_thr = 0.7
    main.train_cfg['pos_weight'] = 2.0
    losses(model, 'detection')
    main.pair = torch.ones(2), torch.ones(2)
    losses(model, 'detection')
    for head in others:
        assert head.margins.tolist() == [0.5] * 3
        assert head.scales == [3, 2] and head.scales is not main.scales
        assert head.pair[1].tolist() == [1.0, 1.0]
        assert head.assigner.pos_iou_thr == 0.7
        assert head.train_cfg.pos_weight == 2.0
    assert 'cannot follow' not in caplog.text
    del main.scales
    losses(model, 'detection')
    logger.removeHandler(caplog.handler)
    assert 'bbox_head.scales from list to nothing' in caplog.text


class _Sets(Hook):
    def before_train_iter(self, runner, batch_idx, data_batch=None):
        runner.model.head.loss_module.loss_weight = 2.0 + runner.iter


def test_auxiliary_network_that_cannot_follow_is_named_once(tmp_path, caplog):
    model = build(
        'classification',
        num_modules=3,
        auxiliary=dict(
            type='mmfba.InfoProAuxiliary',
            loss='contrast',  # with no head like the main one
            recon_weight=1.0,
            task_weight=1.0,
        ),
    )
    runner = make_runner(model, tmp_path, epochs=2, custom_hooks=[_Sets()])
    runner.logger.setLevel(logging.WARNING)
    runner.logger.addHandler(caplog.handler)
    runner.train()
    (line,) = (x for x in caplog.messages if 'cannot follow' in x)
    for part in (
        '_Sets',
        'model.head.loss_module.loss_weight',
        'from 1.0 to 2.0',
        '[0, 1]',
        'InfoProAuxiliary',
    ):
        assert part in line


def test_function_that_uses_the_main_head_is_not_taken_over(caplog):
    model = build('classification', num_modules=3)
    expected = losses(model, 'classification')[1]
    loss, calls = model.head.loss, []

    def patched(*args, **kwargs):
        calls.append(args)
        return loss(*args, **kwargs)

    model.head.loss = patched
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    assert losses(model, 'classification')[1] == expected
    logger.removeHandler(caplog.handler)
    assert len(calls) == 1
    assert 'model.head.loss' in caplog.text
