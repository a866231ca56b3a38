# Copyright (c) mmfba authors.
"""The units of a config's network, found without data or memory."""

import copy
from typing import Any, Dict, Mapping, Optional, Tuple

from mmengine.config import Config
from mmengine.registry import DefaultScope
from torch import nn

from mmfba.local.probe import probe
from mmfba.local.unit_finder import find_units
from mmfba.local.units import Anatomy
from mmfba.models.probe_sizes import SIZES, probe_sizes

from .meta_build import on_meta


def network_units(cfg: Config) -> Tuple[Anatomy, Dict[str, int]]:
    """The units of a config's network.

    Args:
        cfg (Config): A config of mmpretrain, mmdet, mmagic or mmfba.

    Returns:
        tuple: The units, and the number of values of each parameter.

    Raises:
        ValueError: If the config has no such network.
    """
    network, scope = _network_config(cfg), cfg.get('default_scope')
    if network is None or scope not in SIZES:
        raise ValueError(
            'The config trains no model with a backbone or generator under '
            f'default_scope in {list(SIZES)}; it has {scope!r}'
        )
    built = _build(network, scope)
    sizes = {name: p.numel() for name, p in built.named_parameters()}
    return find_units(probe(built, probe_sizes(built, scope))), sizes


def _network_config(cfg: Config) -> Optional[Dict[str, Any]]:
    """Config of the backbone or generator, if the config trains one."""
    model = cfg.get('model')
    if not isinstance(model, Mapping) or cfg.get('train_dataloader') is None:
        return None
    model = model.get('detector') or model
    network = model.get('backbone') or model.get('generator')
    return network.to_dict() if isinstance(network, Mapping) else None


def _build(network: Mapping[str, Any], scope: str) -> nn.Module:
    from mmengine.registry import MODELS

    network = copy.deepcopy(dict(network))
    _drop_weights(network)
    for key, value in dict(frozen_stages=-1, norm_eval=False).items():
        if key in network:
            network[key] = value
    with DefaultScope.overwrite_default_scope(scope), on_meta():
        return MODELS.build(network)


def _drop_weights(cfg: Any) -> None:
    """Nothing is loaded: the meta device has no values."""
    if isinstance(cfg, dict):
        for key in cfg:
            if key in ('init_cfg', 'pretrained'):
                cfg[key] = None
            else:
                _drop_weights(cfg[key])
    elif isinstance(cfg, (list, tuple)):
        for item in cfg:
            _drop_weights(item)
