# Copyright (c) mmfba authors.
import pytest

from mmfba.local import FeatureSpec
from mmfba.models.auxiliary import UnitSpec

FEATURES = {
    name: FeatureSpec(name, stage, channels, stride)
    for name, stage, channels, stride in [
        ('input', 0, 3, 1),
        ('stem', 0, 8, 4),
        ('layer1.0', 1, 8, 4),
        ('layer1.1', 1, 8, 4),
        ('layer2.0', 2, 16, 8),
        ('layer2.1', 2, 16, 8),
        ('layer3.0', 3, 32, 16),
    ]
}


def spec(cut):
    return UnitSpec(0, 2, FEATURES[cut], FEATURES, (), None)


@pytest.mark.parametrize(
    'cut, remaining',
    [
        ('stem', (1, 2, 3)),
        ('layer1.0', (1, 2, 3)),
        ('layer1.1', (2, 3)),
        ('layer2.0', (2, 3)),
        ('layer2.1', (3,)),
        ('layer3.0', ()),
    ],
)
def test_remaining_stages(cut, remaining):
    assert spec(cut).remaining_stages == remaining


def test_stage_ends():
    assert spec('stem').stage_ends == {
        1: FEATURES['layer1.1'],
        2: FEATURES['layer2.1'],
        3: FEATURES['layer3.0'],
    }
