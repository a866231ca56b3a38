# Copyright (c) mmfba authors.
"""The method itself. Knows torch only."""

from .chain import (
    INPUT,
    Chain,
    FeatureSpec,
    Residual,
    Unit,
    probe_features,
)
from .chunked import ImageWise, backward_by_chunks
from .feature_bank import POOLED, FeatureBank
from .learner import LocalLearner
from .partition import (
    partition_balanced,
    partition_by_cuts,
    partition_by_stage,
    partition_uniform,
)
from .step import Step

__all__ = [
    'INPUT',
    'POOLED',
    'Chain',
    'FeatureBank',
    'FeatureSpec',
    'ImageWise',
    'LocalLearner',
    'Residual',
    'Step',
    'Unit',
    'backward_by_chunks',
    'partition_balanced',
    'partition_by_cuts',
    'partition_by_stage',
    'partition_uniform',
    'probe_features',
]
