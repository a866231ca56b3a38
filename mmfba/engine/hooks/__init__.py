# Copyright (c) mmfba authors.
from .atomic_checkpoint_hook import AtomicCheckpointHook
from .checkpoint_fit_hook import CheckpointFitHook
from .feature_bank_hook import FeatureBankHook
from .memory_profile_hook import MemoryProfileHook
from .plain_checkpoint_hook import PlainCheckpointHook
from .same_steps_hook import SameStepsHook

__all__ = [
    'AtomicCheckpointHook',
    'CheckpointFitHook',
    'FeatureBankHook',
    'MemoryProfileHook',
    'PlainCheckpointHook',
    'SameStepsHook',
]
