# Copyright (c) mmfba authors.
"""``mmfba.Local<PlainClass>`` for every model class, made when asked for."""

from importlib import import_module
from pkgutil import resolve_name
from typing import List, Optional, Type

from mmengine.model import BaseModel
from mmengine.registry import DefaultScope

from mmfba.registry import MODELS, check_installed, is_installed

TASKS = {
    'mmpretrain': (
        'mmfba.models.tasks.classification:LocalClassification',
        'mmpretrain.models:ImageClassifier',
    ),
    'mmdet': (
        'mmfba.models.tasks.detection:LocalDetection',
        'mmdet.models:BaseDetector',
    ),
    'mmagic': (
        'mmfba.models.tasks.restoration:LocalRestoration',
        'mmagic.models.base_models:BaseEditModel',
    ),
}
"""For each library its task's mixin, and the class of its models."""
PREFIX = 'Local'
SHORT = dict(EditModel='BaseEditModel')
"""Plain classes that a local model names in short."""


def local_class(name: str) -> Optional[Type]:
    """The local model of a plain one.

    Args:
        name (str): ``'Local'`` and the name of a class of mmpretrain, mmdet
            or mmagic, of the default scope first.

    Returns:
        type, optional: A subclass of it; None if there is no such class.

    Raises:
        ImportError: If its library is not installed.
        ValueError: If it is no model that can be trained so.
    """
    if not name.startswith(PREFIX) or name in MODELS.module_dict:
        return None
    stands_for = name[len(PREFIX) :]
    stands_for = SHORT.get(stands_for, stands_for)
    for library, (_, base) in TASKS.items():
        if base.endswith(f':{stands_for}'):
            check_installed(library, name)
    for library in _libraries():
        plain = _registered(library, stands_for)
        if plain is not None:
            mixin, base = map(resolve_name, TASKS[library])
            _check(plain, base, name)
            made = type(name, (mixin, plain), {'__doc__': plain.__doc__})
            made.__module__ = 'mmfba.models'  # where pickle finds it
            MODELS.register_module(name=name, module=made)
            return made
    _check_all_installed(name, stands_for)
    return None


def plain_name(name: str) -> Optional[str]:
    """The stock type that a local model stands for: ``'mmdet.FasterRCNN'`` for
    ``'mmfba.LocalFasterRCNN'``."""
    prefix = f'mmfba.{PREFIX}'
    made = MODELS.get(name) if name.startswith(prefix) else None
    for cls in made.__mro__ if made else ():
        library = cls.__module__.partition('.')[0]
        if library in TASKS:
            return f'{library}.{cls.__name__}'
    return None


def _libraries() -> List[str]:
    scope = DefaultScope.get_current_instance()
    first = scope.scope_name if scope else ''
    found = [library for library in TASKS if is_installed(library)]
    return sorted(found, key=lambda library: library != first)


def _registered(library: str, name: str) -> Optional[Type]:
    import_module(f'{library}.models')
    registry = import_module(f'{library}.registry').MODELS
    return registry.module_dict.get(name)


def _check_all_installed(name: str, stands_for: str) -> None:
    missing = [library for library in TASKS if not is_installed(library)]
    if missing:
        raise ImportError(
            f"type='mmfba.{name}' needs a library with a model {stands_for}, "
            f'and {" and ".join(missing)} are not installed: pip install '
            f'{" or ".join(missing)}'
        )


def _check(plain: Type, base: Type, name: str) -> None:
    """Refuse what would not be trained by the loss that the mixin cuts."""
    reason = ''
    if not (isinstance(plain, type) and issubclass(plain, base)):
        reason = f'is no {base.__name__}'
    elif plain.train_step is not BaseModel.train_step:
        reason = 'has a train_step of its own, as GANs do'
    if reason:
        raise ValueError(
            f"model.type='mmfba.{name}': {plain.__name__} {reason}, so that "
            'it cannot be trained by local learning: train it plainly'
        )
