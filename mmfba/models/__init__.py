# Copyright (c) mmfba authors.
"""Registered models and their parts.

mmdet, mmpretrain and mmagic are optional: what needs one imports it when it is
asked for, and says so where it is missing.
"""

from typing import Any

from mmfba.registry import MODELS

from .auxiliary import *  # noqa: F401,F403
from .channel_norm import ChannelNorm
from .joint_tail_partition import JointTailPartition
from .local_model import LocalModel
from .options import LocalLearningOptions

__all__ = [
    'ChannelNorm',
    'JointTailPartition',
    'LocalLearningOptions',
    'LocalModel',
]


def __getattr__(name: str) -> Any:
    """Such as ``LocalImageClassifier``, for configs that import classes."""
    known = name in MODELS.optional
    if known or name.startswith('Local') and MODELS.get(name):
        return MODELS.get(name)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
