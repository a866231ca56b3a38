# Copyright (c) mmfba authors.
"""Child nodes of mmengine's root registries.

``dict(type='mmfba.X')`` finds its class from any default scope: mmengine
imports this module by its name and then the ``locations``, so that a config
needs no ``custom_imports``.
"""

from importlib import import_module
from importlib.util import find_spec
from typing import Dict, Optional, Tuple, Type

from mmengine import registry as roots
from mmengine.registry import Registry


class LazyRegistry(Registry):
    """A registry that imports a library when a class that needs it is got.

    Each of mmpretrain, mmdet and mmagic is optional, and takes seconds and
    hundreds of megabytes.

    Args:
        name (str): Of the registry.
        optional (dict[str, tuple[str, str]]): For each class that needs a
            library the library, and the module of the class.
        **kwargs: Of the plain registry.
    """

    def __init__(
        self, name: str, optional: Dict[str, Tuple[str, str]], **kwargs
    ) -> None:
        super().__init__(name, scope='mmfba', **kwargs)
        self.optional = optional

    def get(self, key: str) -> Optional[Type]:
        """Get a class, or raise an ImportError if its library is missing."""
        name = key[len('mmfba.') :] if key.startswith('mmfba.') else key
        if name not in self.module_dict:
            self._provide(name)
        return super().get(key)

    def _provide(self, name: str) -> None:
        if name in self.optional:
            library, module = self.optional[name]
            check_installed(library, name)
            import_module(module)


def is_installed(library: str) -> bool:
    """Whether a library can be imported, without importing it."""
    try:
        return find_spec(library) is not None
    except (ImportError, ValueError):
        return False


def check_installed(library: str, name: str) -> None:
    """Raise an ImportError if a class needs a library that is missing."""
    if not is_installed(library):
        raise ImportError(
            f"type='mmfba.{name}' needs {library}, which is not installed: "
            f'pip install {library}'
        )


class ModelRegistry(LazyRegistry):
    """It makes ``Local<PlainClass>`` of every model class, see
    :mod:`mmfba.models.local_classes`."""

    def _provide(self, name: str) -> None:
        super()._provide(name)
        import_module('mmfba.models.local_classes').local_class(name)


MODELS = ModelRegistry(
    'model',
    parent=roots.MODELS,
    locations=['mmfba.models'],
    optional=dict(
        CIFARResNet=('mmpretrain', 'mmfba.models.backbones'),
        CanvasFCOSHead=('mmdet', 'mmfba.models.dense_heads'),
        LeanSigmoidFocalLoss=('mmdet', 'mmfba.models.losses'),
        YOLOV1Head=('mmdet', 'mmfba.models.dense_heads'),
    ),
)
MODEL_WRAPPERS = Registry(
    'model_wrapper',
    parent=roots.MODEL_WRAPPERS,
    scope='mmfba',
    locations=['mmfba.engine.model_wrappers'],
)
TASK_UTILS = Registry(
    'task util',
    parent=roots.TASK_UTILS,
    scope='mmfba',
    locations=['mmfba.models', 'mmfba.analysis.balanced_partition'],
)
DATASETS = LazyRegistry(
    'dataset',
    parent=roots.DATASETS,
    optional=dict(
        STL10=('mmpretrain', 'mmfba.datasets'),
        SVHN=('mmpretrain', 'mmfba.datasets'),
    ),
)
HOOKS = Registry(
    'hook',
    parent=roots.HOOKS,
    scope='mmfba',
    locations=['mmfba.engine.hooks'],
)
METRICS = LazyRegistry(
    'metric',
    parent=roots.METRICS,
    optional=dict(ClasswiseVOCMetric=('mmdet', 'mmfba.evaluation')),
)
OPTIM_WRAPPERS = Registry(
    'optim_wrapper',
    parent=roots.OPTIM_WRAPPERS,
    scope='mmfba',
    locations=['mmfba.engine.optim_wrappers'],
)
