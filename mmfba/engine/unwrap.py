# Copyright (c) mmfba authors.
"""The local model behind what a Runner calls its model."""

from typing import Optional

from mmengine.model import is_model_wrapper
from torch import nn

from mmfba.local_config import LOCALISABLE
from mmfba.models.local_model import LocalModel
from mmfba.models.optim_wrapper import BACKWARDS, SUMMED, own_wrapper_work


def find_local_model(model: nn.Module) -> Optional[LocalModel]:
    """The model, without its distributed wrapper, if it learns locally."""
    plain = unwrap(model)
    return plain if isinstance(plain, LocalModel) else None


def get_local_model(model: nn.Module, key: str, remedy: str) -> LocalModel:
    """The same where the config's ``key`` needs one; ``remedy`` is what else
    the user can do than change the model.

    Raises:
        TypeError: If the model does no local learning, or holds one that
            does.
    """
    found = find_local_model(model)
    if found is None:
        refuse_nested(model)
        raise TypeError(
            f'{key}: the model {type(unwrap(model)).__name__} does no local '
            f'learning: {remedy}, or {LOCALISABLE}'
        )
    return found


def refuse_nested(model: nn.Module) -> None:
    """Raise a TypeError if another model holds a local one: it calls its loss
    past the optimizer wrapper, or runs its network without any local loss."""
    plain = unwrap(model)
    for name, module in plain.named_modules():
        # A teacher may be hidden from PyTorch in a plain attribute.
        for key, part in [*module.named_children(), *vars(module).items()]:
            work = isinstance(part, LocalModel) and own_wrapper_work(part)
            if not work:
                continue
            path = f'{name}.{key}'.lstrip('.')
            summed = f', or its {SUMMED}' if work == BACKWARDS else ''
            raise TypeError(
                f'{type(plain).__name__} holds a {type(part).__name__} as '
                f'{path!r}, where no optimizer wrapper can {work}: set its '
                f"type to the plain model's, without local_learning{summed}; "
                "then set optim_wrapper.type='OptimWrapper' and remove "
                'default_hooks.feature_bank'
            )


def unwrap(model: nn.Module) -> nn.Module:
    """The model without its distributed wrapper."""
    return model.module if is_model_wrapper(model) else model
