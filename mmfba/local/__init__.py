# Copyright (c) mmfba authors.
"""The method itself. Knows torch only."""

from .chain import INPUT, Chain, FeatureSpec, Unit, probe_features
from .feature_bank import POOLED, FeatureBank
from .learner import LocalLearner
from .partition import partition_by_cuts, partition_by_stage, partition_uniform

__all__ = [
    'INPUT',
    'POOLED',
    'Chain',
    'FeatureBank',
    'FeatureSpec',
    'LocalLearner',
    'Unit',
    'partition_by_cuts',
    'partition_by_stage',
    'partition_uniform',
    'probe_features',
]
