# Copyright (c) mmfba authors.
import pytest
from local_models import build

# ResNet-20: the stem and nine blocks.


def cuts(depth, **options):
    return build(
        'classification',
        partition=dict(type='mmfba.JointTailPartition'),
        auxiliary=dict(type='mmfba.AugLocalAuxiliary', depth=depth),
        **options,
    ).cuts


def test_last_units_are_one_module():
    names = ['stem', *(f'layer{s}.{i}' for s in (1, 2, 3) for i in range(3))]
    assert cuts(2) == names[:7]  # K = 10 - 2
    assert cuts(8) == names[:1]
    assert cuts(2, num_modules=8) == names[:7]


def test_impossible_values_are_named():
    for depth in (0, 9, 1.5):
        with pytest.raises(ValueError, match=f'depth={depth}: .* from 1 to 8'):
            cuts(depth)
    with pytest.raises(ValueError, match='num_modules=10, but 10 units'):
        cuts(2, num_modules=10)


def test_auxiliary_networks_without_a_depth_are_refused():
    with pytest.raises(ValueError, match='auxiliary.depth=None: mmfba.Joint'):
        build(
            'classification',
            partition=dict(type='mmfba.JointTailPartition'),
        )
