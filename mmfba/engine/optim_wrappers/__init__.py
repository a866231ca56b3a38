# Copyright (c) mmfba authors.
from .amp_local_learning_optim_wrapper import AmpLocalLearningOptimWrapper
from .local_learning_optim_wrapper import LocalLearningOptimWrapper

__all__ = ['AmpLocalLearningOptimWrapper', 'LocalLearningOptimWrapper']
