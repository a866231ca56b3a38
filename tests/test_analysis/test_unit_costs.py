# Copyright (c) mmfba authors.
import copy
import itertools

import pytest
from local_models import build, config
from mmengine.hub import get_config

import mmfba
from mmfba.analysis.benchmark import ArmRun
from mmfba.analysis.unit_costs import measure_units

SHAPE, BATCH = (640, 800), 2


def wide(**local_learning):
    """Feature maps, not weights, take the memory."""
    cfg = config('detection', **local_learning)
    cfg.model.backbone.base_channels = 32
    cfg.model.neck.in_channels = [32, 64, 128, 256]
    cfg.optim_wrapper.optimizer.momentum = 0  # its state is not predicted
    return cfg


def peaks(cuts, **options):
    run = ArmRun(
        wide(partition=cuts, **options), 'local', BATCH, SHAPE, 'meta'
    )
    profile = run.profile()
    return list(profile.peak_by_tag.values()), profile.peak_bytes


def costs(checkpoint=False, **options):
    run = ArmRun(wide(num_modules=2, **options), 'local', BATCH, SHAPE, 'meta')
    return run.model, measure_units(
        run.model, run.model.options, BATCH, SHAPE, checkpoint
    )


@pytest.mark.parametrize('checkpoint', [False, True])
@pytest.mark.parametrize('chunk', [None, 1])
def test_predicted_peaks_are_near_measured_ones(chunk, checkpoint):
    options = dict(chunk=chunk, checkpoint=checkpoint)
    _, predicted = costs(**options)
    names = [unit.name for unit in predicted.units]
    for cuts in (['stem', 'layer2.0'], ['layer1.1', 'layer3.0']):
        ends = [names.index(cut) + 1 for cut in cuts] + [len(names)]
        modules = zip([0, *ends], ends)
        measured, _ = peaks(cuts, **options)
        for (start, stop), peak in zip(modules, measured):
            assert predicted.peak(start, stop) == pytest.approx(peak, rel=0.12)


@pytest.mark.slow
def test_balanced_partition_is_near_the_best_of_all():
    options = dict(chunk=1, checkpoint=True)
    model, _ = costs(**options)
    names = [u.name for u in model.anatomy.units]
    best = min(
        peaks(list(cuts), **options)[1]
        for cuts in itertools.combinations(names[:3], 2)
    )
    partition = dict(
        type='mmfba.BalancedPartition', input_shape=SHAPE, batch_size=BATCH
    )
    run = ArmRun(
        wide(partition=partition, num_modules=3, **options),
        'local',
        BATCH,
        SHAPE,
        'meta',
    )
    assert len(run.model.cuts) == 2
    assert run.profile().peak_bytes <= 1.03 * best
    # It beats the stages.
    stages, _ = peaks(['layer1.1', 'layer2.1'], **options)
    assert run.profile().peak_bytes <= max(stages)


@pytest.mark.slow
def test_default_cuts_are_near_the_best_of_all():
    """By what the units keep, without any auxiliary network."""
    stock = get_config('mmpretrain::resnet/resnet18_8xb32_in1k.py')

    def profile(**options):
        cfg = mmfba.localise(stock, **options)
        run = ArmRun(cfg, 'local', 8, (224, 224), 'meta')
        return run.model, run.profile().peak_bytes

    model, found = profile(num_modules=2)
    names = [unit.name for unit in model.anatomy.units[:-1]]
    every = [profile(num_modules=2, partition=[cut])[1] for cut in names]
    assert found < 1.02 * min(every) < 0.9 * max(every)


def test_modules_that_recompute_get_more_units():
    """Half of them: its balance differs from that of all or none."""
    partition = dict(
        type='mmfba.BalancedPartition', input_shape=SHAPE, batch_size=BATCH
    )
    best = min(
        peaks([cut], chunk=1, checkpoint=[0])[1]
        for cut in ('stem', 'layer1.0', 'layer1.1', 'layer2.0', 'layer2.1')
    )
    cfg = wide(partition=partition, num_modules=2, chunk=1, checkpoint=[0])
    found = ArmRun(cfg, 'local', BATCH, SHAPE, 'meta')
    assert found.profile().peak_bytes <= 1.07 * best
    cfg = wide(partition=partition, num_modules=2, chunk=1)
    plain = ArmRun(cfg, 'local', BATCH, SHAPE, 'meta')
    names = [unit.name for unit in found.model.anatomy.units]
    ends = [names.index(run.model.cuts[0]) for run in (found, plain)]
    assert ends[0] > ends[1]


def test_costs_by_hand():
    _, predicted = costs()
    stem, *_, last = predicted.units
    pixels = BATCH * SHAPE[0] // 2 * SHAPE[1] // 2 * 32 * 4
    # conv, norm, pooled map and its int64 indices.
    kept = 2 * pixels + pixels // 4 + 2 * (pixels // 4)
    assert stem.kept == pytest.approx(kept, rel=0.01)
    assert stem.output == pixels // 4
    macs = BATCH * SHAPE[0] // 2 * SHAPE[1] // 2 * 32 * 3 * 49
    assert stem.flops == 2 * macs
    assert last.head > last.kept  # the main neck and head
    assert predicted.read == {'layer2.1', 'layer3.1', 'layer4.1'}


def test_model_is_not_changed():
    model = build('detection', num_modules=3)
    before = copy.deepcopy(model.state_dict())
    modules = model.ranges
    measure_units(model, model.options, 2, (64, 64), True)
    assert model.ranges == modules
    for name, value in before.items():
        assert value.equal(model.state_dict()[name]), name


@pytest.mark.parametrize('task', ['classification', 'super-resolution'])
def test_other_tasks(task):
    model = build(task, num_modules=3)
    predicted = measure_units(model, model.options, 2, (32, 32), False)
    assert all(unit.kept > 0 for unit in predicted.units)
    assert predicted.units[0].cuttable == (task == 'classification')
    model = build(
        task,
        num_modules=3,
        partition=dict(
            type='mmfba.BalancedPartition', input_shape=(32, 32), batch_size=2
        ),
    )
    assert model.learner.num_modules == 3


@pytest.mark.parametrize(
    'partition',
    [
        dict(input_shape=(0, 3), batch_size=2),
        dict(input_shape=(32,), batch_size=2),
        dict(input_shape=(32, 32), batch_size=0),
    ],
)
def test_wrong_size(partition):
    partition = dict(type='mmfba.BalancedPartition', **partition)
    with pytest.raises(ValueError, match=r'partition\.input_shape='):
        build('detection', num_modules=2, partition=partition)
