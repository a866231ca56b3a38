# Copyright (c) mmfba authors.
"""Registered models and their parts.

mmdet, mmpretrain and mmagic are optional: what needs one that is missing says
so when it is built.
"""

from .auxiliary import *  # noqa: F401,F403
from .chains import build_chain, register_chain
from .joint_tail_partition import JointTailPartition
from .local_model import LocalModel
from .optional import is_installed, register_missing
from .options import LocalLearningOptions

__all__ = [
    'JointTailPartition',
    'LocalLearningOptions',
    'LocalModel',
    'build_chain',
    'register_chain',
]

if is_installed('mmpretrain'):
    from .backbones import *  # noqa: F401,F403
    from .classifiers import *  # noqa: F401,F403
else:
    register_missing('mmpretrain', 'LocalImageClassifier', 'CIFARResNet')

if is_installed('mmdet'):
    from .dense_heads import *  # noqa: F401,F403
    from .detectors import *  # noqa: F401,F403
    from .losses import *  # noqa: F401,F403
    from .task_modules import *  # noqa: F401,F403
else:
    register_missing(
        'mmdet',
        'LocalSingleStageDetector',
        'LeanSigmoidFocalLoss',
        'YOLOV1Head',
    )

if is_installed('mmagic'):
    from .editors import *  # noqa: F401,F403
else:
    register_missing('mmagic', 'LocalEditModel')
