# Copyright (c) mmfba authors.
from .feature_bank_hook import FeatureBankHook
from .plain_checkpoint_hook import PlainCheckpointHook

__all__ = ['FeatureBankHook', 'PlainCheckpointHook']
