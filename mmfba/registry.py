# Copyright (c) mmfba authors.
"""Child nodes of mmengine's root registries.

``dict(type='mmfba.X')`` finds its class from any default scope: mmengine
imports this module by its name and then the ``locations``, so that a config
needs no ``custom_imports``.
"""

from importlib import import_module
from importlib.util import find_spec
from typing import Dict, Optional, Type

from mmengine.registry import DATASETS as MMENGINE_DATASETS
from mmengine.registry import HOOKS as MMENGINE_HOOKS
from mmengine.registry import METRICS as MMENGINE_METRICS
from mmengine.registry import MODEL_WRAPPERS as MMENGINE_MODEL_WRAPPERS
from mmengine.registry import MODELS as MMENGINE_MODELS
from mmengine.registry import OPTIM_WRAPPERS as MMENGINE_OPTIM_WRAPPERS
from mmengine.registry import TASK_UTILS as MMENGINE_TASK_UTILS
from mmengine.registry import Registry

__all__ = [
    'DATASETS',
    'HOOKS',
    'METRICS',
    'MODEL_WRAPPERS',
    'MODELS',
    'OPTIM_WRAPPERS',
    'TASK_UTILS',
]


class LazyRegistry(Registry):
    """A registry that imports a library when a class that needs it is got.

    Each of mmpretrain, mmdet and mmagic is optional, and takes seconds and
    hundreds of megabytes.

    Args:
        name (str): Of the registry.
        optional (dict[str, dict[str, str]]): For each library the classes
            that need it, and the module of each.
        **kwargs: Of the plain registry.
    """

    def __init__(
        self, name: str, optional: Dict[str, Dict[str, str]], **kwargs
    ) -> None:
        super().__init__(name, scope='mmfba', **kwargs)
        self.optional = {
            cls: (library, module)
            for library, classes in optional.items()
            for cls, module in classes.items()
        }

    def get(self, key: str) -> Optional[Type]:
        """Get a class, or raise an ImportError if its library is missing."""
        name = key[len('mmfba.') :] if key.startswith('mmfba.') else key
        if name in self.optional and name not in self.module_dict:
            library, module = self.optional[name]
            check_installed(library, name)
            import_module(module)
        if name not in self.module_dict:
            made = self._made(name)
            if made is not None:
                return made
        return super().get(key)

    def _made(self, name: str) -> Optional[Type]:
        """A class that is made when asked for; None by default."""
        return None


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

    def _made(self, name: str) -> Optional[Type]:
        return import_module('mmfba.models.local_classes').local_class(name)


MODELS = ModelRegistry(
    'model',
    parent=MMENGINE_MODELS,
    locations=['mmfba.models'],
    optional=dict(
        mmpretrain=dict(
            CIFARResNet='mmfba.models.backbones',
        ),
        mmdet=dict(
            LeanSigmoidFocalLoss='mmfba.models.losses',
            YOLOV1Head='mmfba.models.dense_heads',
        ),
    ),
)
MODEL_WRAPPERS = Registry(
    'model_wrapper',
    parent=MMENGINE_MODEL_WRAPPERS,
    scope='mmfba',
    locations=['mmfba.engine.model_wrappers'],
)
TASK_UTILS = LazyRegistry(
    'task util',
    parent=MMENGINE_TASK_UTILS,
    locations=['mmfba.models', 'mmfba.analysis.balanced_partition'],
    optional=dict(
        mmdet=dict(
            YOLOV1Assigner='mmfba.models.task_modules',
            YOLOV1BBoxCoder='mmfba.models.task_modules',
        )
    ),
)
DATASETS = LazyRegistry(
    'dataset',
    parent=MMENGINE_DATASETS,
    optional=dict(
        mmpretrain=dict(STL10='mmfba.datasets', SVHN='mmfba.datasets')
    ),
)
HOOKS = Registry(
    'hook',
    parent=MMENGINE_HOOKS,
    scope='mmfba',
    locations=['mmfba.engine.hooks'],
)
METRICS = LazyRegistry(
    'metric',
    parent=MMENGINE_METRICS,
    optional=dict(mmdet=dict(ClasswiseVOCMetric='mmfba.evaluation')),
)
OPTIM_WRAPPERS = Registry(
    'optim_wrapper',
    parent=MMENGINE_OPTIM_WRAPPERS,
    scope='mmfba',
    locations=['mmfba.engine.optim_wrappers'],
)
