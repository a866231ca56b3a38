# Copyright (c) mmfba authors.
from typing import Any

from torch import nn

from .auxiliary import AuxiliaryNetwork


def check_optim_wrapper(model: nn.Module, optim_wrapper: Any) -> None:
    """Refuse an optimizer wrapper that cannot train the model.

    It must run local backwards, and call what auxiliary networks do after the
    optimizer's step.

    Args:
        model (nn.Module): A local model.
        optim_wrapper (OptimWrapper): What is to train it.

    Raises:
        TypeError: It names the right one.
    """
    if hasattr(optim_wrapper, 'local_backward'):
        return
    name = type(optim_wrapper).__name__
    amp = 'Amp' if 'Amp' in name else ''
    right = f"optim_wrapper.type='mmfba.{amp}LocalLearningOptimWrapper'"
    for aux in model.local_aux:
        if type(aux).after_step is not AuxiliaryNetwork.after_step:
            raise TypeError(
                f"optim_wrapper.type='{name}' does not call what "
                f'{type(aux).__name__} does after a step: set {right}'
            )
    if model.learner.needs_backward:
        raise TypeError(
            f"optim_wrapper.type='{name}' does not run local backwards: set "
            f"{right}, or model.local_learning.backward='summed', which saves "
            'no memory'
        )
