# Copyright (c) mmfba authors.
"""``mmfba.Local<PlainClass>`` for every model class, made when asked for."""

from importlib import import_module
from typing import List, Optional, Tuple, Type

from mmengine.registry import DefaultScope

from mmfba.registry import MODELS, is_installed

TASKS = {
    'mmpretrain': ('classification', 'LocalClassification', 'ImageClassifier'),
    'mmdet': ('detection', 'LocalDetection', 'BaseDetector'),
    'mmagic': ('restoration', 'LocalRestoration', 'BaseEditModel'),
}
"""For each library the task, its mixin, and the class of its models."""
PREFIX = 'Local'


def local_class(name: str) -> Optional[Type]:
    """The local model of a plain one.

    Args:
        name (str): ``'Local'`` and the name of a class of mmpretrain, mmdet
            or mmagic, of the default scope first.

    Returns:
        type, optional: A subclass of it; None if there is no such class.

    Raises:
        ValueError: If it is no model that can be trained so.
    """
    if not name.startswith(PREFIX) or name in MODELS.module_dict:
        return None
    for library in _libraries():
        plain = _registered(library, name[len(PREFIX) :])
        if plain is not None:
            mixin, base = _mixin(library)
            if not issubclass(plain, base):
                raise ValueError(
                    f"model.type='mmfba.{name}': {library}'s "
                    f'{plain.__name__} is no {base.__name__}, so that it '
                    'cannot be trained by local learning: train it plainly'
                )
            made = type(name, (mixin, plain), {'__doc__': plain.__doc__})
            made.__module__ = 'mmfba.models'  # where pickle finds it
            MODELS.register_module(name=name, module=made)
            return made
    return None


def plain_name(name: str) -> Optional[str]:
    """The stock type that a local model stands for.

    Args:
        name (str): The local model's, such as ``'mmfba.LocalFasterRCNN'``.

    Returns:
        str, optional: Such as ``'mmdet.FasterRCNN'``.
    """
    made = MODELS.get(name)
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


def _mixin(library: str) -> Tuple[Type, Type]:
    task, mixin, base = TASKS[library]
    module = import_module(f'mmfba.models.tasks.{task}')
    models = import_module(f'{library}.models')
    return getattr(module, mixin), getattr(models, base, None) or getattr(
        import_module(f'{library}.models.base_models'), base
    )
