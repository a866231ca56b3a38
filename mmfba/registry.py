# Copyright (c) mmfba authors.
"""Child nodes of mmengine's root registries.

``dict(type='mmfba.X')`` finds its class from any default scope: mmengine
imports this module by its name and then the ``locations``, so that a config
needs no ``custom_imports``.
"""

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

MODELS = Registry(
    'model', parent=MMENGINE_MODELS, scope='mmfba', locations=['mmfba.models']
)
MODEL_WRAPPERS = Registry(
    'model_wrapper',
    parent=MMENGINE_MODEL_WRAPPERS,
    scope='mmfba',
    locations=['mmfba.engine.model_wrappers'],
)
TASK_UTILS = Registry(
    'task util',
    parent=MMENGINE_TASK_UTILS,
    scope='mmfba',
    locations=['mmfba.models', 'mmfba.analysis.balanced_partition'],
)
DATASETS = Registry(
    'dataset',
    parent=MMENGINE_DATASETS,
    scope='mmfba',
    locations=['mmfba.datasets'],
)
HOOKS = Registry(
    'hook',
    parent=MMENGINE_HOOKS,
    scope='mmfba',
    locations=['mmfba.engine.hooks'],
)
METRICS = Registry(
    'metric',
    parent=MMENGINE_METRICS,
    scope='mmfba',
    locations=['mmfba.evaluation'],
)
OPTIM_WRAPPERS = Registry(
    'optim_wrapper',
    parent=MMENGINE_OPTIM_WRAPPERS,
    scope='mmfba',
    locations=['mmfba.engine.optim_wrappers'],
)
