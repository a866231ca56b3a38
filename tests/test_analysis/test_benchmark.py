# Copyright (c) mmfba authors.
import weakref
from pathlib import Path

import pytest
import torch
from local_models import config, gradients
from mmengine.config import Config
from mmengine.optim import OptimWrapper

from mmfba.analysis.benchmark import ArmRun, benchmark
from mmfba.analysis.training_arms import TOKENS, describe_tokens, make_arm
from mmfba.analysis.unit_costs import measure_units
from mmfba.engine.optim_wrappers import LocalLearningOptimWrapper
from mmfba.local_config import complete
from mmfba.models import anchor_targets

ROOT = Path(__file__).resolve().parents[2]
SHAPE = (128, 160)
tasks = pytest.mark.parametrize(
    'task', ['classification', 'detection', 'super-resolution']
)


@tasks
def test_meta_device_is_the_cpu_without_the_work(task):
    """Memory apart from the assignment of targets, and FLOPs, are equal."""
    cfg, shape = config(task, num_modules=3), (32, 64)
    if task == 'detection':  # assignment is a small part in wide networks
        cfg.model.neck.out_channels = 64
        cfg.model.bbox_head.update(in_channels=64, feat_channels=64)
    arms = ['bp', 'local', 'local+checkpoint']
    meta, _ = benchmark(cfg, arms, 4, shape, 'meta')
    cpu, _ = benchmark(cfg, arms, 4, shape, 'cpu')
    for a, b in zip(meta, cpu):
        assert a['flops_ratio'] == b['flops_ratio']
        tolerance = 0.05 if task == 'detection' else 0.01
        assert a['peak_bytes'] == pytest.approx(b['peak_bytes'], rel=tolerance)
        assert a['cuts'] == b['cuts']


def test_two_stages_on_the_meta_device():
    """As many regions are sampled there as there are at most."""
    name = 'local-fpn-k4_faster-rcnn_r18-w32_fpn_1xb8-6e_digit-scenes'
    cfg = Config.fromfile(ROOT / f'configs/local_fpn/{name}.py')
    complete(cfg)
    rows = [
        benchmark(cfg, ['bp', 'local'], 4, (128, 128), device)[0]
        for device in ('meta', 'cpu')
    ]
    for meta, cpu in zip(*rows):
        assert 1 <= meta['peak_bytes'] / cpu['peak_bytes'] < 1.05
        assert 1 <= meta['flops'] / cpu['flops'] < 1.05
        assert meta['cuts'] == cpu['cuts']


def test_images_have_the_channels_that_the_network_takes():
    cfg = config('classification', num_modules=3)
    cfg.model.backbone.in_channels = 1
    cfg.model.data_preprocessor = dict(mean=[127.0], std=[64.0])
    run = ArmRun(cfg, 'local', 2, (32, 32), 'cpu')
    assert run.batch[0].shape == (2, 1, 32, 32)
    assert run.profile().flops > 0


@pytest.mark.parametrize('arm', ['bp', 'local', 'local+accum2', 'local+chunk'])
def test_each_step_assigns_its_targets(arm, monkeypatch):
    """As in training, though the batch is the same; or its time is less."""
    run = ArmRun(config('detection', num_modules=3), arm, 2, (64, 64), 'cpu')
    assign, images = anchor_targets.assign, []

    def counted(assigner, anchors, boxes, *args):
        images.extend(boxes)
        return assign(assigner, anchors, boxes, *args)

    monkeypatch.setattr(anchor_targets, 'assign', counted)
    for step in range(1, 4):
        run.step()
        assert len(images) == 2 * step


def test_rows_of_a_detector():
    cfg = config('detection', num_modules=3)
    arms = [
        'bp',
        'cp',
        'checkpoint+chunk',
        'accum2',
        'local',
        'local+k4+tuned',
    ]
    rows, profiles = benchmark(cfg, arms, 4, SHAPE)
    row = {r['arm']: r for r in rows}
    assert list(row) == list(profiles) == arms
    assert row['bp']['peak_ratio'] == row['bp']['flops_ratio'] == 1
    assert row['bp']['num_modules'] == 1 and row['bp']['cuts'] == []
    assert row['local']['num_modules'] == 3
    assert len(row['local+k4+tuned']['cuts']) == 3
    for arm in arms[1:]:
        assert row[arm]['peak_ratio'] < 1, arm
    assert row['checkpoint+chunk']['peak_bytes'] < row['cp']['peak_bytes']
    assert 1 < row['cp']['flops_ratio'] < 1.35
    assert row['accum2']['flops_ratio'] == pytest.approx(1, abs=0.01)
    assert not row['accum2']['exact_bn'] and row['cp']['exact_bn']
    assert row['local']['step_time_s'] is None
    peaks = row['local']['module_peak_bytes']
    assert max(peaks) == row['local']['peak_bytes'] and len(peaks) == 3


def test_accumulated_step_is_that_of_the_whole_batch():
    # No batch normalisation: EDSR.
    runs = [
        ArmRun(config('super-resolution'), arm, 4, (16, 16), 'cpu')
        for arm in ('bp', 'accum2')
    ]
    for run in runs:
        run.step()
    weights = [run.model.state_dict() for run in runs]
    for name, value in weights[0].items():
        torch.testing.assert_close(weights[1][name], value, msg=name)


def test_times_are_ratios_to_bp():
    cfg = config('super-resolution', num_modules=2)
    rows, _ = benchmark(cfg, ['bp', 'local'], 2, (16, 16), 'cpu', steps=3)
    assert rows[0]['step_time_ratio'] == 1
    expected = rows[1]['step_time_s'] / rows[0]['step_time_s']
    assert rows[1]['step_time_ratio'] == expected > 0


def test_bp_is_the_plain_network():
    run = ArmRun(config('detection', num_modules=3), 'bp', 2, SHAPE, 'cpu')
    assert run.model.learner.num_modules == 1
    run.optim_wrapper.zero_grad = lambda: None
    run.step()
    assert all(g is not None for g in gradients(run.model).values())


@pytest.mark.parametrize(
    'arm, kind', [('bp', OptimWrapper), ('local', LocalLearningOptimWrapper)]
)
def test_only_local_arms_have_the_wrapper_of_local_learning(arm, kind):
    cfg = config('detection', num_modules=3)
    cfg.optim_wrapper.nonfinite = 'skip'
    run = ArmRun(cfg, arm, 2, SHAPE, 'cpu')
    assert type(run.optim_wrapper) is kind


@pytest.mark.parametrize(
    'arm, words',
    [
        ('nothing', "no token 'nothing'"),
        ('bp+k', "no token 'k'"),
        ('cp2', "no token 'cp2'"),
        ('k2k', "no token 'k2k'"),
        ('accum9', 'a batch of 4 images'),
        ('accum1', 'a batch of 4 images'),
        ('local+cp', r"'local\+checkpoint'"),
    ],
)
def test_wrong_arm(arm, words):
    with pytest.raises(ValueError, match=words):
        make_arm(config('detection', num_modules=3), arm, 4, SHAPE)


def test_balanced_keeps_the_number_of_explicit_cuts():
    cfg = config('detection', partition=['layer1.1'])
    cfg = make_arm(cfg, 'local+balanced', 4, SHAPE)
    assert cfg.model.local_learning.num_modules == 2


def test_heads_that_assign_otherwise_need_values():
    cfg = config('detection', num_modules=3)
    cfg.model.bbox_head = dict(
        type='ATSSHead',
        num_classes=3,
        in_channels=16,
        anchor_generator=cfg.model.bbox_head.anchor_generator,
    )
    cfg.model.train_cfg = dict(assigner=dict(type='ATSSAssigner', topk=9))
    with pytest.raises(ValueError, match='ATSSHead cannot be measured on the'):
        benchmark(cfg, ['bp'], 2, SHAPE)


def test_models_without_local_learning():
    cfg = config('detection')
    cfg.model.type = 'RetinaNet'
    cfg.model.pop('local_learning')
    with pytest.raises(ValueError, match="type='RetinaNet' does no local"):
        benchmark(cfg, ['bp', 'local'], 2, SHAPE)
    # What does not ask for any can be measured on its own.
    run = ArmRun(cfg, 'local+cp+accum2', 2, SHAPE, 'meta')
    assert run.model.backbone.with_cp and not hasattr(run.model, 'learner')


def test_lean_needs_a_focal_loss():
    with pytest.raises(ValueError, match='has no sigmoid focal loss'):
        make_arm(config('super-resolution'), 'lean', 4, SHAPE)


@pytest.mark.parametrize(
    'center_sampling', [False, pytest.param(True, marks=pytest.mark.slow)]
)
def test_fcos(center_sampling):
    """As on the CPU."""
    cfg = config('detection', num_modules=3)
    cfg.model.bbox_head = dict(
        type='FCOSHead',
        num_classes=4,
        in_channels=16,
        stacked_convs=2,
        feat_channels=16,
        strides=[8, 16, 32, 64, 128],
        norm_cfg=dict(type='GN', num_groups=4),
        center_sampling=center_sampling,
        loss_cls=dict(type='mmfba.LeanSigmoidFocalLoss', use_sigmoid=True),
    )
    cfg.model.train_cfg = None
    step = (2, (128, 128))
    for arm in ('local', 'local+chunk'):
        run = ArmRun(cfg, arm, *step, 'meta')
        meta, cpu = run.profile(), ArmRun(cfg, arm, *step, 'cpu').profile()
        assert meta.flops == cpu.flops
        assert meta.peak_bytes == pytest.approx(cpu.peak_bytes, rel=0.05)
    costs = measure_units(run.model, run.model.options, *step, False)
    assert costs.units[-1].head > 0


def test_one_arm_at_a_time_is_in_memory(monkeypatch):
    """A GPU's peak counts all that is alive."""
    alive = weakref.WeakSet()
    profile = ArmRun.profile

    def watched(run):
        alive.add(run.model)
        assert list(alive) == [run.model]
        return profile(run)

    monkeypatch.setattr(ArmRun, 'profile', watched)
    cfg = config('super-resolution', num_modules=2)
    benchmark(cfg, ['bp', 'local'], 2, (16, 16), 'cpu', steps=1)


def test_help_names_every_token():
    names = describe_tokens().split(', ')
    assert {'bp', 'k<n>', 'chunk[<n>]', 'stem', 'cp'} < set(names)
    assert len(names) == len(TOKENS) + 1


def test_cp_needs_a_backbone():
    with pytest.raises(ValueError, match="use 'checkpoint'"):
        make_arm(config('super-resolution'), 'cp', 4, SHAPE)


def test_no_times_on_the_meta_device_and_bp_first():
    cfg = config('detection', num_modules=3)
    with pytest.raises(ValueError, match='no time to measure'):
        benchmark(cfg, ['bp'], 2, SHAPE, 'meta', steps=1)
    with pytest.raises(ValueError, match='the first must be bp'):
        benchmark(cfg, ['local'], 2, SHAPE)
