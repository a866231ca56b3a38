# Copyright (c) mmfba authors.
import copy
from types import SimpleNamespace

import pytest
from local_models import TASKS, build, config
from mmengine.config import Config

from mmfba.analysis.benchmark import ArmRun
from mmfba.analysis.step_profile import StepProfile
from mmfba.analysis.way import Way, recommend
from mmfba.analysis.ways import Ways
from mmfba.local_config import complete

STEP = (4, (64, 64))
ALL = 2**40


def profile(peak, flops=1, static=10):
    return StepProfile(peak, static, 0, 0, flops, [], [], {})


def plain(task):
    cfg = config(task)
    cfg.model.pop('local_learning')
    cfg.model.type = copy.deepcopy(TASKS[task][1]['type'])
    cfg.optim_wrapper.type = 'OptimWrapper'
    return cfg


@pytest.fixture
def find(monkeypatch):
    """Ways of a model of which nothing is built or measured.

    Each token of an arm takes 10 bytes from 210 and adds 1 to 10 FLOPs.
    """
    models = {}

    def find(cfg, task, budget, refused=(), trains_bn=True, values=False):
        if task not in models:
            models[task] = build(task)
            models[task].anatomy = SimpleNamespace(
                units=range(20), first_trained=lambda: 2
            )

        class Run:
            def __init__(self, cfg, arm, images, shape, device):
                self.tokens = arm.split('+')
                if arm in refused:
                    raise ValueError(f'not with {arm}')
                self.model, self.trains_bn = models[task], trains_bn
                self.model.cuts = ['some unit']

            def profile(self):
                if values:
                    raise RuntimeError('no values')
                count = len(self.tokens) - 1
                return profile(210 - 10 * count, 10 + count)

        monkeypatch.setattr('mmfba.analysis.ways.ArmRun', Run)
        search = Ways(cfg, *STEP, budget)
        ways = search.find()
        for way in ways:
            changed = copy.deepcopy(cfg)
            changed.merge_from_dict(copy.deepcopy(way.changes))
        return ways, search.notes

    return find


def words(ways, exact):
    return [way.words for way in ways if way.exact == exact]


def test_where_it_fits_as_it_is_the_rest_is_for_comparison(find):
    cfg = plain('detection')
    cfg.model.bbox_head.loss_cls.type = 'CrossEntropyLoss'
    ways, notes = find(cfg, 'detection', ALL)
    assert not notes and recommend(ways, ALL) is ways[0]
    assert ways[0].words == 'plain training' and not ways[0].changes
    assert words(ways, 'yes')[1:] == [
        'checkpointing (with_cp)',
        'mmfba, exact: head on all levels at once',
        'mmfba, exact: stem image by image, head image by image, '
        'checkpointing',
    ]
    assert words(ways, 'no') == [
        'mmfba, 4 local modules',
        'mmfba, 4 local modules: head on all levels at once',
    ]
    assert [way.stock for way in ways] == [True, True] + 4 * [False]


def test_local_learning_where_nothing_exact_fits(find):
    """Step by step until one fits, and then no more."""
    ways, _ = find(plain('detection'), 'detection', 160)
    found = recommend(ways, 160)
    local = (
        'mmfba, 4 local modules: stem image by image, head image by image, '
        'balanced cuts, checkpointing'
    )
    assert words(ways, 'no') == [
        local,
        f'{local}, head on all levels at once',
    ]
    assert found.words == local
    ways, _ = find(plain('detection'), 'detection', 1)
    local = [way for way in ways if way.exact == 'no']
    assert [way.words[:22] for way in local] == [
        f'mmfba, {count} local modules' for count in (4, 8, 8)
    ]
    assert local == ways[-3:]
    assert local[0].changes['model.local_learning.partition'] == ['some unit']
    assert local[1].changes['model.local_learning'] == dict(num_modules=8)


def test_what_the_model_refuses_is_said(find):
    refused = ['local+chunk', 'bp+stem+checkpoint', 'local+fast']
    ways, notes = find(plain('detection'), 'detection', ALL, refused)
    assert notes == [
        'head image by image: not with local+chunk',
        'mmfba, exact: stem image by image, checkpointing: '
        'not with bp+stem+checkpoint',
    ]
    assert words(ways, 'yes') == ['plain training', 'checkpointing (with_cp)']


def test_what_cannot_be_localised_has_exact_ways(find, monkeypatch):
    def refuses(*args):
        raise ValueError('its units cannot be found')

    monkeypatch.setattr('mmfba.analysis.ways.localise', refuses)
    ways, notes = find(plain('detection'), 'detection', 1)
    assert notes == ['local learning: its units cannot be found']
    assert words(ways, 'yes') == ['plain training', 'checkpointing (with_cp)']
    assert all(way.profile for way in ways)


def test_accumulation_where_no_batch_normalisation_is_trained(find):
    cfg = plain('super-resolution')
    cfg.train_cfg = dict(type='IterBasedTrainLoop', max_iters=10)
    task = 'super-resolution'
    ways, _ = find(cfg, task, ALL, trains_bn=False)
    way = next(way for way in ways if 'accumulation' in way.words)
    assert (
        way.words == 'gradient accumulation, 2 x 2 images'
        and way.exact == 'yes'
    )
    assert way.changes == {
        'optim_wrapper.accumulative_counts': 2,
        'train_dataloader.batch_size': 2,
        'train_cfg.max_iters': 20,
    }
    # As many parts as the budget asks for: 10 + 200 / 4.
    ways, _ = find(cfg, task, 60, trains_bn=False)
    assert any('accumulation, 4 x 1 image' in way.words for way in ways)
    ways, _ = find(cfg, task, ALL)
    assert not any('accumulation' in way.words for way in ways)


def test_accumulation_on_top_of_accumulation(find):
    cfg = plain('super-resolution')
    cfg.optim_wrapper.accumulative_counts = 3
    ways, _ = find(cfg, 'super-resolution', ALL, trains_bn=False)
    way = next(way for way in ways if 'accumulation' in way.words)
    assert way.words == 'gradient accumulation, 2 x 2 images'
    assert way.changes['optim_wrapper.accumulative_counts'] == 6


def test_parts_of_a_detectors_batch_have_normalisers_of_their_own(find):
    ways, _ = find(plain('detection'), 'detection', ALL, trains_bn=False)
    assert words(ways, 'nearly') == ['gradient accumulation, 2 x 2 images']


def test_lean_focal_loss_where_there_is_one(find):
    cfg = plain('detection')
    cfg.model.bbox_head.loss_cls.type = 'FocalLoss'
    ways, _ = find(cfg, 'detection', ALL)
    way = next(way for way in ways if way.words == 'lean focal loss')
    key = 'model.bbox_head.loss_cls.type'
    assert way.changes == {key: 'mmfba.LeanSigmoidFocalLoss'}


def test_local_config(find):
    """Its own options are the first of local learning."""
    cfg = config('detection', num_modules=3)
    ways, _ = find(cfg, 'detection', ALL)
    assert ways[0].changes['model.local_learning'] == dict(
        num_modules=1, _delete_=True
    )
    own = next(way for way in ways if not way.changes)
    assert own.words == 'mmfba, 3 local modules'
    assert not any(way.stock for way in ways)


def test_what_needs_values_has_no_peaks(find):
    ways, notes = find(plain('detection'), 'detection', ALL, values=True)
    assert notes == ['memory: RuntimeError: no values']
    assert len(ways) == 6 and recommend(ways, ALL) is None
    assert all(way.profile is None for way in ways)


def test_mixed_precision_is_measured_in_single(find):
    cfg = plain('detection')
    cfg.optim_wrapper.update(type='AmpOptimWrapper', loss_scale='dynamic')
    ways, notes = find(cfg, 'detection', ALL)
    assert 'mixed precision is not counted' in notes[0]
    assert cfg.optim_wrapper.type == 'AmpOptimWrapper'
    assert 'optim_wrapper' not in str([way.changes for way in ways])


@pytest.mark.parametrize(
    'wrapper', [None, dict(generator=dict(optimizer=dict(type='Adam')))]
)
def test_several_optimizers(wrapper):
    cfg = Config(dict(model=dict(type='DCGAN'), optim_wrapper=wrapper))
    with pytest.raises(ValueError, match='no optim_wrapper.optimizer'):
        Ways(cfg, 2, (32, 32), 1)


def test_recommendation():
    slow = Way('', 'yes', {}, profile(5, 9))
    fast = Way('', 'nearly', {}, profile(6, 8))
    local = Way('', 'no', {}, profile(1, 1))
    assert recommend([slow, local, fast], 10) is fast
    assert recommend([slow, local, fast], 5) is slow
    assert recommend([slow, local, fast], 4) is local
    assert recommend([slow, local, fast], 0) is None
    slow.plain = True  # it needs no change
    assert recommend([slow, local, fast], 10) is slow


def test_what_was_measured_counts_more():
    first, second = (Way('', 'yes', {}, profile(5, n)) for n in (8, 9))
    third = Way('', 'yes', {}, profile(1, 1))
    first.measured, second.measured = (11, 1.0), (9, 2.0)
    assert recommend([first, second, third], 10) is second
    assert recommend([first, second, third], 20) is first
    first.measured = (float('inf'), float('inf'))
    assert recommend([first, second, third], 20) is second


def test_a_step_is_as_long_as_its_slower_side():
    """Arithmetic of the GPU, or Python that launches its operators."""
    large, small = profile(1, 10**12), profile(1, 1)
    large.operators = small.operators = 700
    large, small = (Way('', 'yes', {}, p) for p in (large, small))
    assert large.seconds == pytest.approx(0.1)
    assert small.seconds == pytest.approx(0.01)


def test_changes_give_the_way():
    """Measured: the config that would be written has the peak."""
    cfg = plain('super-resolution')
    before, step = cfg.to_dict(), (2, (16, 16))
    search = Ways(cfg, *step, 1)
    search._stock('local')
    search._add(
        ['local', 'chunk', 'balanced', 'checkpoint'], search.local, 'no'
    )
    stock, way = search.ways
    assert cfg.to_dict() == before and not search.notes
    assert way.peak < stock.peak
    cfg.merge_from_dict(copy.deepcopy(way.changes))
    complete(cfg)
    run = ArmRun(cfg, 'local', *step, 'meta')
    assert run.model.cuts == way.changes['model.local_learning.partition']
    assert run.profile().peak_bytes == way.peak
