# Copyright (c) mmfba authors.
from typing import Any

from mmengine.config import Config

from mmfba.models.build_model import build_model
from mmfba.type_name import type_name

from .training_arms import Changes

CLIP_GRAD = dict(max_norm=10)


def from_scratch(cfg: Config) -> Changes:
    """What turns a fine-tuning into a training from random weights.

    No pretrained weights, nothing of the backbone frozen, its batch
    normalisation trained, and gradients clipped, as the first ones are large.

    Args:
        cfg (Config): A config that trains.

    Returns:
        dict: New values by their dotted keys; empty if the config trains from
        scratch as it is.
    """
    changes = without_pretrained(cfg)
    # What the config does not say is a default of its class.
    backbone = getattr(build_model(cfg), 'backbone', None)
    if isinstance(getattr(backbone, 'frozen_stages', None), int):
        if backbone.frozen_stages >= 0:
            changes['model.backbone.frozen_stages'] = -1
    if getattr(backbone, 'norm_eval', False) is True:
        changes['model.backbone.norm_eval'] = False
    norm = (cfg.model.get('backbone') or {}).get('norm_cfg') or {}
    if norm.get('requires_grad') is False:
        changes['model.backbone.norm_cfg.requires_grad'] = True
    wrapper = cfg.get('optim_wrapper') or {}
    if changes and not wrapper.get('clip_grad'):
        replaces = {'_delete_': True} if 'clip_grad' in wrapper else {}
        changes['optim_wrapper.clip_grad'] = {**CLIP_GRAD, **replaces}
    return changes


def without_pretrained(cfg: Config) -> Changes:
    """What keeps a model from loading weights.

    Args:
        cfg (Config): A config of any model.

    Returns:
        dict: New values by their dotted keys.
    """
    changes: Changes = {'load_from': None} if cfg.get('load_from') else {}
    _find(cfg.model, 'model', changes)
    return changes


def _find(part: Any, path: str, changes: Changes) -> None:
    pairs = part.items() if isinstance(part, dict) else enumerate(part)
    for key, value in pairs:
        name = f'{path}.{key}'
        if key == 'pretrained' and isinstance(value, str):
            changes[name] = None
        elif key == 'init_cfg':
            several = isinstance(value, (list, tuple))
            parts = [x for x in (value if several else [value]) if x]
            kept = [x for x in parts if not _loads(x)]
            if len(kept) < len(parts):
                changes[name] = kept or None
        elif isinstance(value, (dict, list, tuple)):
            _find(value, name, changes)


def _loads(initialiser: Any) -> bool:
    kind = type_name(initialiser.get('type')).rpartition('.')[2]
    return kind.startswith('Pretrained') or 'checkpoint' in initialiser
