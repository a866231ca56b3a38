# Copyright (c) mmfba authors.
"""What a local model needs an optimizer wrapper of ours for."""

from typing import Any

from torch import nn

from .auxiliary import AuxiliaryNetwork

BACKWARDS = 'run local backwards'
SUMMED = "local_learning.backward='summed', which saves no memory"


def own_wrapper_work(model: nn.Module) -> str:
    """What optimizer wrappers of ours alone do for a local model: a verb and
    its object; empty if any wrapper trains the model."""
    for aux in model.local_aux:
        if type(aux).after_step is not AuxiliaryNetwork.after_step:
            return f'call what {type(aux).__name__} does after a step'
    return BACKWARDS if model.learner.needs_backward else ''


def check_optim_wrapper(model: nn.Module, optim_wrapper: Any) -> None:
    """Refuse an optimizer wrapper that cannot train a local model."""
    work = own_wrapper_work(model)
    if hasattr(optim_wrapper, 'local_backward') or not work:
        return
    name = type(optim_wrapper).__name__
    amp = 'Amp' if 'Amp' in name else ''
    summed = f', or model.{SUMMED}' if work == BACKWARDS else ''
    raise TypeError(
        f"optim_wrapper.type='{name}' does not {work}: set "
        f"optim_wrapper.type='mmfba.{amp}LocalLearningOptimWrapper'{summed}"
    )


def check_lent(model: nn.Module) -> None:
    """Refuse a step of a local model that no wrapper of ours has begun."""
    work = own_wrapper_work(model)
    if model.learner.lent or not work:
        return
    summed = f', set {SUMMED},' if work == BACKWARDS else ''
    raise TypeError(
        f'{type(model).__name__}.loss() was called where no optimizer wrapper '
        f"can {work}: train it by optim_wrapper.type='mmfba."
        "LocalLearningOptimWrapper', as the model of the config, not inside "
        f'another one{summed} or, in a loop of your own, call it in `with '
        'model.learner.lend_backward(torch.Tensor.backward):`'
    )
