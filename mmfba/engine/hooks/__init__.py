# Copyright (c) mmfba authors.
from .feature_bank_hook import FeatureBankHook
from .memory_profile_hook import MemoryProfileHook
from .plain_checkpoint_hook import PlainCheckpointHook

__all__ = ['FeatureBankHook', 'MemoryProfileHook', 'PlainCheckpointHook']
