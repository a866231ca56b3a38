# Copyright (c) mmfba authors.
from mmengine.optim import AmpOptimWrapper
from torch import Tensor

from mmfba.registry import OPTIM_WRAPPERS

from .local_learning_optim_wrapper import LocalBackward


@OPTIM_WRAPPERS.register_module()
class AmpLocalLearningOptimWrapper(LocalBackward, AmpOptimWrapper):
    """Mixed-precision twin of :class:`LocalLearningOptimWrapper`.

    All losses of a step go through one gradient scaler, so that a step is
    skipped as a whole when a gradient overflows.
    """

    def _propagate(self, loss: Tensor) -> None:
        self.loss_scaler.scale(loss).backward()
