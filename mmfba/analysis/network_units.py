# Copyright (c) mmfba authors.
"""The units of a config's network, found without data or memory."""

import copy
from functools import partial
from typing import Any, Dict, Mapping, Optional, Tuple
from unittest.mock import patch

import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from torch import nn

from mmfba.local.probe import Probe, probe
from mmfba.local.unit_finder import find_units
from mmfba.local.units import Anatomy
from mmfba.models.probe_sizes import SIZES, probe_sizes


def network_units(cfg: Config) -> Tuple[Anatomy, Dict[str, int]]:
    """The units of a config's network, and the size of each parameter.

    Raises:
        ValueError: If the config has no such network.
    """
    network, scope = network_config(cfg), cfg.get('default_scope')
    if network is None or scope not in SIZES:
        raise ValueError(
            'The config trains no model with a backbone or generator under '
            f'default_scope in {list(SIZES)}; it has {scope!r}'
        )
    probed = probe_network(network, scope)
    named = probed.network.named_parameters()
    sizes = {name: p.numel() for name, p in named}
    return find_units(probed), sizes


def network_config(cfg: Config) -> Optional[Dict[str, Any]]:
    """Config of the backbone or generator, if the config trains one, without
    what is loaded into the network or frozen in it."""
    model = cfg.get('model')
    if not isinstance(model, Mapping) or cfg.get('train_dataloader') is None:
        return None
    model = model.get('detector') or model
    network = model.get('backbone') or model.get('generator')
    if not isinstance(network, Mapping):
        return None
    network = copy.deepcopy(network.to_dict())
    _drop_weights(network)
    for key in ('frozen_stages', 'norm_eval'):
        network.pop(key, None)
    return network


def probe_network(network: Mapping[str, Any], scope: str) -> Probe:
    """Build a network without memory and run it once without data.

    Args:
        network (dict): See :func:`network_config`.
        scope (str): Of its config: ``mmpretrain``, ``mmdet`` or ``mmagic``.
    """

    def build() -> nn.Module:
        return MODELS.build(copy.deepcopy(dict(network)))

    with DefaultScope.overwrite_default_scope(scope):
        try:
            # Rates of stochastic depth are read from a linspace.
            readable = partial(torch.linspace, device='cpu')
            with torch.device('meta'), patch('torch.linspace', readable):
                built = build()
        except NotImplementedError:  # it reads values when it is built
            built = build()
    return probe(built, probe_sizes(built, scope))


def _drop_weights(cfg: Any) -> None:
    """Nothing is loaded: the meta device has no values."""
    if isinstance(cfg, dict):
        for key in ('init_cfg', 'pretrained'):
            cfg.pop(key, None)
        for value in cfg.values():
            _drop_weights(value)
    elif isinstance(cfg, (list, tuple)):
        for item in cfg:
            _drop_weights(item)
