# Copyright (c) mmfba authors.
import itertools
import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmfba.local import (
    FeatureSpec,
    Unit,
    partition_balanced,
    partition_by_cuts,
    partition_by_memory,
    partition_by_stage,
    partition_uniform,
)
from mmfba.local.partition import stage_ends


def make_unit(name, stage, cuttable=True):
    feature = FeatureSpec(name, stage, 8, 1)
    return Unit(name, name, ((name,),), (), feature, cuttable=cuttable)


def make_units(blocks=(2, 2, 2, 2), cuttable_stem=True):
    """A stem and the given number of blocks in each stage."""
    units = [make_unit('stem', 0, cuttable_stem)]
    units += [
        make_unit(f'layer{stage}.{i}', stage)
        for stage, count in enumerate(blocks, start=1)
        for i in range(count)
    ]
    return units


def sizes(ranges):
    return [stop - start for start, stop in ranges]


@st.composite
def cuttings(draw):
    """Units, the first trained one, and a K that they allow."""
    blocks = draw(st.lists(st.integers(1, 6), min_size=1, max_size=4))
    units = make_units(blocks, draw(st.booleans()))
    first = draw(st.integers(0, len(units) - 1))
    possible = sum(unit.cuttable for unit in units[first:])
    return units, first, draw(st.integers(1, possible))


@settings(max_examples=50, deadline=None, derandomize=True)
@given(cuttings())
def test_uniform_covers_without_gaps(cutting):
    units, first, num_modules = cutting
    ranges = partition_uniform(units, num_modules, first)
    assert len(ranges) == num_modules
    covered = [i for start, stop in ranges for i in range(start, stop)]
    assert covered == list(range(first, len(units)))
    assert min(sizes(ranges)) >= 1
    assert all(units[stop - 1].cuttable for _, stop in ranges)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(cuttings())
def test_cuts_by_name_give_the_same_ranges(cutting):
    units, first, num_modules = cutting
    ranges = partition_uniform(units, num_modules, first)
    names = [units[stop - 1].name for _, stop in ranges[:-1]]
    assert partition_by_cuts(units, names, first) == ranges


@settings(max_examples=25, deadline=None, derandomize=True)
@given(cuttings(), st.randoms(use_true_random=False))
def test_wrong_orders_of_cuts_are_refused(cutting, rng):
    units, first, num_modules = cutting
    ranges = partition_uniform(units, num_modules, first)
    names = [units[stop - 1].name for _, stop in ranges[:-1]]
    mixed = rng.sample(names, len(names))
    if mixed == names:
        mixed = [*names, *names[:1]]
    if mixed:
        with pytest.raises(ValueError, match='double or out of order'):
            partition_by_cuts(units, mixed, first)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(cuttings())
def test_uniform_gives_later_modules_more(cutting):
    units, first, num_modules = cutting
    ranges = partition_uniform(units, num_modules, first)
    trained = [
        sum(unit.cuttable for unit in units[start:stop])
        for start, stop in ranges
    ]
    assert trained == sorted(trained)
    assert max(trained) - min(trained) <= 1


@pytest.mark.parametrize(
    'blocks, num_modules, expected',
    [
        ((2, 2, 2, 2), 4, [2, 2, 2, 3]),  # ResNet-18 and its stem
        ((3, 4, 6, 3), 17, [1] * 17),  # ResNet-34 of the paper's tables
        ((3, 4, 6, 3), 4, [4, 4, 4, 5]),
        ((3, 4, 6, 3), 7, [2, 2, 2, 2, 3, 3, 3]),
        ((5, 5, 5), 16, [1] * 16),  # ResNet-32
        ((5, 5, 5), 1, [16]),
    ],
)
def test_uniform_of_known_networks(blocks, num_modules, expected):
    ranges = partition_uniform(make_units(blocks), num_modules)
    assert sizes(ranges) == expected


def test_uniform_trains_a_stem_that_is_no_module_with_the_first_block():
    units = make_units((4,), cuttable_stem=False)
    assert partition_uniform(units, 4) == [(0, 2), (2, 3), (3, 4), (4, 5)]
    with pytest.raises(ValueError, match='from 1 to 4, the number of trained'):
        partition_uniform(units, 5)


def test_uniform_leaves_out_the_frozen_prefix():
    units = make_units((2, 2))
    assert partition_uniform(units, 2, first=3) == [(3, 4), (4, 5)]
    with pytest.raises(ValueError, match='from 1 to 2'):
        partition_uniform(units, 3, first=3)


@pytest.mark.parametrize(
    'blocks, num_modules, first, expected',
    [
        ((2, 2, 2, 2), 4, 0, [(0, 3), (3, 5), (5, 7), (7, 9)]),
        ((2, 2, 2, 2), 3, 0, [(0, 3), (3, 5), (5, 9)]),
        ((2, 2, 2, 2), 2, 0, [(0, 5), (5, 9)]),
        ((2, 2, 2, 2), 1, 0, [(0, 9)]),
        ((2, 2, 2, 2), 4, 1, [(1, 3), (3, 5), (5, 7), (7, 9)]),
        ((2, 2, 2, 2), 3, 3, [(3, 5), (5, 7), (7, 9)]),
        ((3, 1), 2, 2, [(2, 4), (4, 5)]),  # frozen into the stage
    ],
)
def test_by_stage(blocks, num_modules, first, expected):
    assert partition_by_stage(make_units(blocks), num_modules, first) == (
        expected
    )


def test_by_stage_cuts_only_where_it_can():
    units = make_units((2, 2, 2))
    units[2] = replace(units[2], cuttable=False)  # the end of a stage
    assert stage_ends(units) == [5, 7]
    assert partition_by_stage(units, 2) == [(0, 5), (5, 7)]
    with pytest.raises(ValueError, match='from 1 to 2'):
        partition_by_stage(units, 3)


def test_by_stage_gives_later_modules_more_stages():
    ranges = partition_by_stage(make_units((1,) * 6), 4)
    assert ranges == [(0, 2), (2, 3), (3, 5), (5, 7)]


def test_by_stage_has_at_most_the_trained_stages():
    units = make_units((2, 2, 2))
    with pytest.raises(ValueError, match='from 1 to 3, the .* trained stages'):
        partition_by_stage(units, 4)
    with pytest.raises(ValueError, match='from 1 to 2, the .* trained stages'):
        partition_by_stage(units, 3, first=3)


@pytest.mark.parametrize('partition', [partition_uniform, partition_by_stage])
@pytest.mark.parametrize('num_modules', [0, -1, 10**6, 3.5, True, '4', None])
def test_impossible_number_of_modules(partition, num_modules):
    with pytest.raises(ValueError) as error:
        partition(make_units(), num_modules)
    limit = 9 if partition is partition_uniform else 4
    assert f'num_modules={num_modules!r}: expected an integer from 1 to ' in (
        str(error.value)
    )
    assert f'to {limit}, the number of trained' in str(error.value)


@pytest.mark.parametrize(
    'cuts, first, expected',
    [
        ([], 0, [(0, 9)]),
        (['stem'], 0, [(0, 1), (1, 9)]),
        (['layer1.1', 'layer3.0'], 0, [(0, 3), (3, 6), (6, 9)]),
        (['layer4.0'], 3, [(3, 8), (8, 9)]),
        (['layer2.0'], 3, [(3, 4), (4, 9)]),
    ],
)
def test_by_cuts(cuts, first, expected):
    assert partition_by_cuts(make_units(), cuts, first) == expected


@pytest.mark.parametrize(
    'cuts, message',
    [
        (['layer1.O'], r"no unit 'layer1.O'; did you mean \['layer1"),
        (['neck'], r"no unit 'neck'; units: \['stem', 'layer1.0'"),
        ([3], r'no unit 3; units: '),
        (
            ['layer1.1', 'layer1.1'],
            "cut 'layer1.1' is double or out of order in "
            r"\['layer1.1', 'layer1.1'\]",
        ),
        (['layer3.0', 'layer2.0'], "cut 'layer2.0' is double or out of order"),
        (['layer1.0'], "'layer1.0' lies in the frozen prefix, which ends"),
        (['layer4.1'], "'layer4.1' is the last unit; the main head"),
    ],
)
def test_wrong_cuts(cuts, message):
    first = 3 if cuts == ['layer1.0'] else 0
    with pytest.raises(ValueError, match=message):
        partition_by_cuts(make_units(), cuts, first)


def test_frozen_prefix_error_says_where_it_ends():
    with pytest.raises(ValueError, match="before 'layer2.0'.*frozen_stages"):
        partition_by_cuts(make_units(), ['stem'], first=3)


def test_no_cut_after_a_stem_that_is_no_module():
    units = make_units((4,), cuttable_stem=False)
    with pytest.raises(ValueError, match="first possible cut is 'layer1.0'"):
        partition_by_cuts(units, ['stem'])
    assert partition_by_cuts(units, ['layer1.0']) == [(0, 2), (2, 5)]


@pytest.mark.parametrize('num_modules', [1, 2, 3, 5])
def test_balanced_is_best_of_all_partitions(num_modules):
    rng = random.Random(num_modules)
    for _ in range(20):
        units = make_units((6,))
        cost = {
            (index, start, stop): rng.choice([1, 2, 3, 5, 8, 13])
            for index in range(num_modules)
            for start in range(7)
            for stop in range(start + 1, 8)
        }

        def peak(*module, cost=cost):
            return cost[module]

        best = min(
            max(
                cost[module]
                for module in zip(range(7), (0, *cuts), (*cuts, 7))
            )
            for cuts in itertools.combinations(range(1, 7), num_modules - 1)
        )
        ranges = partition_balanced(units, num_modules, peak)
        assert len(ranges) == num_modules
        assert ranges[0][0] == 0 and ranges[-1][1] == 7
        assert all(a[1] == b[0] for a, b in zip(ranges, ranges[1:]))
        assert max(cost[(i, *r)] for i, r in enumerate(ranges)) == best


@pytest.mark.parametrize('num_modules', [1, 2, 3, 4])
def test_by_memory_is_best_of_all_and_cuts_early(num_modules):
    rng = random.Random(num_modules)
    for first in (0, 1, 2):
        kept = [rng.choice([1, 2, 3, 5, 8]) for _ in range(8)]
        units = [
            replace(unit, kept=nbytes)
            for unit, nbytes in zip(make_units((7,)), kept)
        ]

        def largest(cuts, kept=kept, first=first):
            modules = zip((first, *cuts), (*cuts, 8))
            return max(sum(kept[start:stop]) for start, stop in modules)

        possible = list(
            itertools.combinations(range(first + 1, 8), num_modules - 1)
        )
        best = min(possible, key=lambda cuts: (largest(cuts), cuts))
        ranges = partition_by_memory(units, num_modules, first)
        assert ranges == list(zip((first, *best), (*best, 8)))


def test_balanced_takes_the_least_sum_of_equal_peaks():
    def peak(_, start, stop):
        return 9 if start == 0 else stop - start

    assert partition_balanced(make_units((3,)), 2, peak) == [(0, 3), (3, 4)]


def test_balanced_respects_prefix_and_uncuttable_stem():
    def peak(_, start, stop):
        return stop - start

    units = make_units((4,))
    assert partition_balanced(units, 2, peak, first=1) == [(1, 3), (3, 5)]
    units = make_units((4,), cuttable_stem=False)
    with pytest.raises(ValueError, match='1 to 4'):
        partition_balanced(units, 5, peak)
