# Copyright (c) mmfba authors.
from .feature_bank_hook import FeatureBankHook
from .memory_profile_hook import MemoryProfileHook
from .plain_checkpoint_hook import PlainCheckpointHook
from .transfer_hook import TransferHook

__all__ = [
    'FeatureBankHook',
    'MemoryProfileHook',
    'PlainCheckpointHook',
    'TransferHook',
]
