# Copyright (c) mmfba authors.
"""The method itself. Knows torch only."""

from .chunked import ImageWise, backward_by_chunks
from .feature_bank import POOLED, FeatureBank
from .features import INPUT, FeatureSpec
from .learner import LocalLearner
from .partition import (
    partition_balanced,
    partition_by_cuts,
    partition_by_memory,
    partition_by_stage,
    partition_uniform,
)
from .units import Anatomy, Unit

__all__ = [
    'INPUT',
    'POOLED',
    'Anatomy',
    'FeatureBank',
    'FeatureSpec',
    'ImageWise',
    'LocalLearner',
    'Unit',
    'backward_by_chunks',
    'partition_balanced',
    'partition_by_cuts',
    'partition_by_memory',
    'partition_by_stage',
    'partition_uniform',
]
