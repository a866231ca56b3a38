# Copyright (c) mmfba authors.
"""Registered models and their parts.

mmdet, mmpretrain and mmagic are optional: what needs one imports it when it is
asked for, and says so where it is missing.
"""

from typing import Any

from mmfba.registry import MODELS, TASK_UTILS

from .auxiliary import *  # noqa: F401,F403
from .joint_tail_partition import JointTailPartition
from .local_model import LocalModel
from .options import LocalLearningOptions

__all__ = [
    'JointTailPartition',
    'LocalLearningOptions',
    'LocalModel',
]


def __getattr__(name: str) -> Any:
    """Such as ``LocalImageClassifier``, for configs that import classes."""
    for registry in (MODELS, TASK_UTILS):
        if name in registry.optional:
            return registry.get(name)
    if name.startswith('Local') and MODELS.get(name):
        return MODELS.get(name)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
