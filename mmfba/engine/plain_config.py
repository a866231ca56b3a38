# Copyright (c) mmfba authors.
"""The config of the plain network that a local model contains."""

import copy
import inspect
from typing import Any, Dict, Iterator, List

from mmengine.config import Config
from mmengine.runner import Runner

from mmfba.local_config import LOCALISABLE, WRAPPERS
from mmfba.models.auxiliary_names import is_auxiliary
from mmfba.models.local_classes import plain_name
from mmfba.type_name import type_name

STOCK_TYPES = {
    **{own: stock for stock, own in WRAPPERS.items()},
    'mmfba.AtomicCheckpointHook': 'CheckpointHook',
    'mmfba.LeanSigmoidFocalLoss': 'mmdet.FocalLoss',
}
"""Types of mmfba by the stock types that compute the same."""
_RUNNER_KEYS = tuple(inspect.signature(Runner.__init__).parameters)


def plain_config(cfg: Config) -> Config:
    """The config for plain training and inference: a copy with stock model,
    loss, optimizer wrapper and checkpoint hook, and no other hooks of mmfba.

    Raises:
        ValueError: If the model does no local learning.
    """
    kind = type_name(cfg.get('model', {}).get('type'))
    stock_model = plain_name(kind)
    if stock_model is None:
        raise ValueError(
            f'model.type={kind!r} does no local learning: choose a config of '
            f'a local model, or {LOCALISABLE}'
        )
    cfg = copy.deepcopy(cfg)
    cfg.model.pop('local_learning', None)
    wrapper = cfg.get('optim_wrapper') or {}
    wrapper.pop('nonfinite', None)
    keys = (wrapper.get('paramwise_cfg') or {}).get('custom_keys') or {}
    for key in [key for key in keys if is_auxiliary(key)]:
        del keys[key]
    cfg.model.type = stock_model
    hooks = cfg.get('default_hooks') or {}
    for part in _typed(cfg._cfg_dict):
        stock = STOCK_TYPES.get(type_name(part['type']))
        if stock:  # a class that is read and set could not be dumped
            part['type'] = stock
    for name in [name for name, hook in hooks.items() if _is_own(hook)]:
        del hooks[name]
    if cfg.get('custom_hooks'):
        cfg.custom_hooks = [h for h in cfg.custom_hooks if not _is_own(h)]
    # Variables with parts of mmfba are recipes that the model took.
    for key in [key for key in cfg if key not in _RUNNER_KEYS]:
        if any(_is_own(part) for part in _typed(cfg[key])):
            cfg.pop(key)
    return cfg


def own_types(cfg: Config) -> List[str]:
    """Types of mmfba that a config needs, such as ``'mmfba.CIFARResNet'``."""
    parts = _typed(cfg._cfg_dict)
    return sorted({type_name(p['type']) for p in parts if _is_own(p)})


def _is_own(part: Any) -> bool:
    return type_name((part or {}).get('type')).startswith('mmfba.')


def _typed(part: Any) -> Iterator[Dict[str, Any]]:
    """All dicts with a type, at any depth."""
    if isinstance(part, dict):
        if part.get('type') is not None:
            yield part
        part = list(part.values())
    if isinstance(part, (list, tuple)):
        for item in part:
            yield from _typed(item)
