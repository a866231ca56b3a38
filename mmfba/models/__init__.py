# Copyright (c) mmfba authors.
"""Registered models and their parts.

mmdet, mmpretrain and mmagic are optional: what needs one that is missing is
not registered.
"""

from importlib.util import find_spec

from .auxiliary import *  # noqa: F401,F403
from .chains import build_chain, register_chain
from .local_model import LocalModel
from .options import LocalLearningOptions

__all__ = [
    'LocalLearningOptions',
    'LocalModel',
    'build_chain',
    'register_chain',
]

if find_spec('mmpretrain'):
    from .backbones import *  # noqa: F401,F403
    from .classifiers import *  # noqa: F401,F403
if find_spec('mmdet'):
    from .detectors import *  # noqa: F401,F403
    from .losses import *  # noqa: F401,F403
if find_spec('mmagic'):
    from .editors import *  # noqa: F401,F403
