# Copyright (c) mmfba authors.
import difflib
import inspect
from typing import Any, Iterable


def check_keys(local: Any, plain_init: Any, keys: Iterable[str]) -> None:
    """Refuse the config of a model that a local model cannot stand for, by its
    keys and the plain model's ``__init__``."""
    parameters = inspect.signature(plain_init).parameters
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return  # the plain model itself checks them
    known = list(parameters)
    unexpected = [key for key in keys if key not in known]
    if not unexpected:
        return
    cls = type(local).__name__
    near = difflib.get_close_matches(unexpected[0], known, 1)
    hint = (
        f'did you mean {near[0]!r}?'
        if near
        else f'it takes the place of models with the keys {known} only: '
        "choose one of these, or 'mmfba.Local' and the name of the plain "
        "class, such as 'mmfba.LocalFasterRCNN'; GANs train plainly, by their "
        'own type and optim_wrapper.type'
    )
    raise ValueError(
        f"model.type='mmfba.{cls}' has the unexpected keys {unexpected}; "
        f'{hint}'
    )
