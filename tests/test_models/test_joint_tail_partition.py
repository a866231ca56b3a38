# Copyright (c) mmfba authors.
import pytest
from local_models import build

# ResNet-20: the stem and nine blocks.


def cuts(depth, **options):
    partition = dict(type='mmfba.JointTailPartition', depth=depth)
    return build('classification', partition=partition, **options).cuts


def test_last_units_are_one_module():
    names = ['stem', *(f'layer{s}.{i}' for s in (1, 2, 3) for i in range(3))]
    assert cuts(2) == names[:7]  # K = 10 - 2
    assert cuts(0) == names[:9]
    assert cuts(2, num_modules=8) == names[:7]


def test_a_stem_that_is_no_unit_does_not_count():
    assert cuts(2, stem_unit=False)[0] == 'layer1.0'
    assert len(cuts(2, stem_unit=False)) == 6  # K = 9 - 2


def test_impossible_values_are_named():
    with pytest.raises(ValueError, match='depth=9: expected an integer fro'):
        cuts(9)
    with pytest.raises(ValueError, match='depth=1.5: expected an integer f'):
        cuts(1.5)
    with pytest.raises(ValueError, match='num_modules=10, but 10 units'):
        cuts(2, num_modules=10)
