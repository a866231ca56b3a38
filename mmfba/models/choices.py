# Copyright (c) mmfba authors.
from typing import Any, Iterable


def check_choice(key: str, value: Any, choices: Iterable[Any]) -> None:
    """Raise a ValueError if the value of a config's key is none of these."""
    choices = tuple(choices)
    if value not in choices:
        raise ValueError(f'{key}={value!r}: choose from {choices}')
