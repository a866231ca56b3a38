# Copyright (c) mmfba authors.
import pytest
from local_models import config
from mmengine.config import DictAction

from mmfba.analysis.benchmark import ArmRun, benchmark
from mmfba.analysis.plan import (
    cheapest_setting,
    describe_units,
    find_settings,
    measure_setting,
    parse_bytes,
)

STEP = (2, (128, 128))


def paste(cfg, options):
    """As a user behind ``--cfg-options``."""
    pairs = (option.split('=', 1) for option in options)
    cfg.merge_from_dict(
        {key: DictAction._parse_iterable(value) for key, value in pairs}
    )


def test_cheapest_setting_fits():
    cfg = config('detection', num_modules=3)
    own = measure_setting(cfg, 'fba', *STEP)
    found = cheapest_setting(cfg, *STEP, own.profile.peak_bytes)
    assert found.arm == 'fba'
    budget = own.profile.peak_bytes - 1
    found = cheapest_setting(cfg, *STEP, budget)
    assert found.profile.peak_bytes <= budget
    assert 'chunk' in found.arm and 'stem' in found.arm


@pytest.mark.parametrize('extra', ['', '+checkpoint2', '+balanced+checkpoint'])
def test_options_give_the_setting(extra):
    cfg = config('detection', num_modules=3)
    found = measure_setting(cfg, 'fba+chunk+stem' + extra, *STEP)
    paste(cfg, found.options)
    run = ArmRun(cfg, 'fba', *STEP, 'meta')
    assert run.model.cuts == found.cuts
    assert run.profile().peak_bytes == found.profile.peak_bytes


def test_what_a_model_refuses_is_not_tried():
    """Chunks and the lean stem are not for this classifier."""
    cfg = config('classification', num_modules=3)
    step = (8, (32, 32))
    refused = {}
    own, *others = find_settings(cfg, *step, refused)
    assert list(refused) == ['fba+chunk', 'fba+stem']
    assert 'no image-wise loss' in refused['fba+chunk']
    assert own.arm == 'fba'
    assert [s.arm for s in others] == [
        'fba',
        'fba+balanced',
        'fba+checkpoint2',
        'fba+checkpoint',
        'fba+balanced+checkpoint',
        'fba+k8+balanced+checkpoint',
    ]
    assert len(others[-1].cuts) == 7
    # Its options give it, though the config has another K.
    paste(cfg, others[-1].options)
    run = ArmRun(cfg, 'fba', *step, 'meta')
    assert run.model.cuts == others[-1].cuts


def test_what_goes_wrong_in_a_step_is_no_refusal(monkeypatch):
    profile = ArmRun.profile

    def fails(run):
        if run.model.options.chunk:
            raise ValueError('in the step')
        return profile(run)

    monkeypatch.setattr(ArmRun, 'profile', fails)
    found = find_settings(config('detection', num_modules=3), *STEP)
    assert next(found).arm == 'fba'
    with pytest.raises(ValueError, match='in the step'):
        next(found)


def test_models_without_local_learning():
    cfg = config('detection')
    cfg.model.type = 'RetinaNet'
    cfg.model.pop('local_learning')
    for measure in (
        lambda: describe_units(cfg, *STEP),
        lambda: measure_setting(cfg, 'fba', *STEP),
        lambda: benchmark(cfg, ['bp', 'fba'], *STEP),
    ):
        with pytest.raises(ValueError, match="type='RetinaNet' does no local"):
            measure()


@pytest.mark.parametrize('center_sampling', [False, True])
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
    )
    cfg.model.train_cfg = None
    for arm in ('fba', 'fba+chunk'):
        meta = measure_setting(cfg, arm, *STEP).profile
        cpu = ArmRun(cfg, arm, *STEP, 'cpu').profile()
        assert meta.flops == cpu.flops
        assert meta.peak_bytes == pytest.approx(cpu.peak_bytes, rel=0.05)
    assert describe_units(cfg, *STEP).units[-1].head > 0


def test_budget_that_nothing_meets():
    cfg = config('classification', num_modules=3)
    with pytest.raises(ValueError, match=r'least peak is .* set by module'):
        cheapest_setting(cfg, 8, (32, 32), 2**10)


def test_units():
    costs = describe_units(config('detection', num_modules=3), *STEP)
    assert [u.name for u in costs.units][:2] == ['stem', 'layer1.0']
    assert costs.units[0].kept > costs.units[-1].kept
    assert costs.read == {'layer2.1', 'layer3.1', 'layer4.1'}


@pytest.mark.parametrize(
    'text, expected',
    [('8GiB', 2**33), ('1.5 MiB', 3 * 2**19), ('500MB', 5 * 10**8), ('7', 7)],
)
def test_sizes(text, expected):
    assert parse_bytes(text) == expected


@pytest.mark.parametrize('text', ['', 'much', '8 Gb/s', '0GiB', '-1GiB'])
def test_no_size(text):
    with pytest.raises(ValueError, match='write it as 8GiB'):
        parse_bytes(text)
