# Copyright (c) mmfba authors.
from importlib.util import find_spec
from typing import Any

from mmengine.registry import Registry

from mmfba.registry import MODELS


def is_installed(library: str) -> bool:
    """Whether a library can be imported, without importing it."""
    try:
        return find_spec(library) is not None
    except (ImportError, ValueError):
        return False


def register_missing(
    library: str, *names: str, registry: Registry = MODELS
) -> None:
    """Register names that say what to install when they are built.

    Args:
        library (str): The library that they need.
        *names (str): Class names as in a config, without the scope.
        registry (Registry): Where to. Defaults to ``MODELS``.
    """
    for name in names:

        def build(*args: Any, _name: str = name, **kwargs: Any) -> None:
            raise ImportError(
                f"type='mmfba.{_name}' needs {library}, which is not "
                f'installed: pip install {library}'
            )

        registry.register_module(name=name, module=build)
