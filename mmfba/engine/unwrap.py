# Copyright (c) mmfba authors.
"""The local model behind what a Runner calls its model."""

from typing import Optional

from mmengine.model import is_model_wrapper
from torch import nn

from mmfba.models.local_model import LocalModel

from .plain_config import LOCALISABLE


def find_local_model(model: nn.Module) -> Optional[LocalModel]:
    """The model without its distributed wrapper, if it learns locally.

    Args:
        model (nn.Module): The model or its wrapper.

    Returns:
        LocalModel, optional: None if it does no local learning.
    """
    plain = unwrap(model)
    return plain if isinstance(plain, LocalModel) else None


def get_local_model(model: nn.Module, key: str, remedy: str) -> LocalModel:
    """The same where the config needs one.

    Args:
        model (nn.Module): The model or its wrapper.
        key (str): The config key that needs it.
        remedy (str): What else the user can do than change the model.

    Raises:
        TypeError: If the model does no local learning.
    """
    found = find_local_model(model)
    if found is None:
        raise TypeError(
            f'{key}: the model {type(unwrap(model)).__name__} does no local '
            f'learning: {remedy}, or {LOCALISABLE}'
        )
    return found


def unwrap(model: nn.Module) -> nn.Module:
    """The model without its distributed wrapper.

    Args:
        model (nn.Module): The model or its wrapper.
    """
    return model.module if is_model_wrapper(model) else model
