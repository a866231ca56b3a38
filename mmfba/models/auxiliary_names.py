# Copyright (c) mmfba authors.
AUXILIARY = 'local_aux'
"""The auxiliary networks' name in the model, and prefix of their weights."""


def is_auxiliary(name: str) -> bool:
    """Whether a weight, or a part of the model, is of auxiliary networks, by
    its name as in the state dict."""
    return name.split('.')[0] == AUXILIARY
