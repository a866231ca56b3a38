# Copyright (c) mmfba authors.
"""The name of a config's ``type``, however it is written."""

from typing import Any

OPENMMLAB = ('mmengine', 'mmcv', 'mmdet', 'mmpretrain', 'mmagic')


def type_name(kind: Any) -> str:
    """The name of a type, to be compared with others.

    Configs write a type as a class or function, as the path of one (what
    MMEngine makes of a class in a config that it writes to a file), or as a
    registered name, with its scope or without.

    Returns:
        str: Its name: with the scope where that is no library of OpenMMLab,
        such as ``'mmfba.SLMFPN'``, else without, such as ``'FPN'``.
    """
    name = qualified_name(kind)
    scope, _, short = name.partition('.')
    return short if scope in OPENMMLAB and short else name


def qualified_name(kind: Any) -> str:
    """The same with the scope of any library, such as ``'mmdet.FPN'``."""
    if callable(kind) and hasattr(kind, '__name__'):
        kind = f'{kind.__module__}.{kind.__name__}'
    scope, _, path = str(kind).partition('.')
    return f'{scope}.{path.rpartition(".")[2]}' if path else scope


def definer(obj: Any, method: str) -> str:
    """Qualified name of the class that defines a method of ``obj``."""
    classes = type(obj).__mro__
    return next((qualified_name(c) for c in classes if method in vars(c)), '')
