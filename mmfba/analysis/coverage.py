# Copyright (c) mmfba authors.
"""Which stock configs can be cut into local modules, without training."""

import copy
import re
from pathlib import Path
from typing import Any, Dict, Iterator, Mapping, Optional, Tuple

from mmengine.config import Config
from mmengine.registry import DefaultScope
from torch import nn

from mmfba.local.ownership import find_owners
from mmfba.local.partition import partition_uniform
from mmfba.local.probe import probe
from mmfba.local.unit_finder import find_units
from mmfba.local.units import Anatomy

from .meta_build import on_meta

SIZES = dict(mmpretrain=(224, 32), mmdet=(256, 128), mmagic=(64, 48))
"""Heights and widths that a network is probed with."""


def stock_configs(root: Path) -> Iterator[Path]:
    """Yield the training configs in a library's folder of configs.

    Args:
        root (Path): The folder, ``.mim/configs`` of an installed library.
    """
    for path in sorted(root.rglob('*.py')):
        folders = path.relative_to(root).parts
        if '_base_' not in folders and not path.name.startswith('_'):
            yield path


def network_config(cfg: Config) -> Optional[Dict[str, Any]]:
    """Config of the network that would be cut: backbone or generator.

    Args:
        cfg (Config): A stock config.

    Returns:
        dict, optional: None where the config trains no such model.
    """
    model = cfg.get('model')
    if not isinstance(model, Mapping) or cfg.get('train_dataloader') is None:
        return None
    model = model.get('detector') or model
    network = model.get('backbone') or model.get('generator')
    return network.to_dict() if isinstance(network, Mapping) else None


def network_units(cfg: Config) -> Tuple[Anatomy, Dict[str, int]]:
    """The units of a config's network.

    Args:
        cfg (Config): A config of mmpretrain, mmdet, mmagic or mmfba.

    Returns:
        tuple: The units, and the number of values of each parameter.

    Raises:
        ValueError: If the config has no such network.
    """
    network, scope = network_config(cfg), cfg.get('default_scope')
    if network is None or scope not in SIZES:
        raise ValueError(
            'The config trains no model with a backbone or generator under '
            f'default_scope in {list(SIZES)}; it has {scope!r}'
        )
    built = _build(network, scope)
    sizes = {name: p.numel() for name, p in built.named_parameters()}
    return find_units(probe(built, _sizes(built, scope))), sizes


def check_network(
    network: Mapping[str, Any], scope: str, num_modules: int
) -> Dict[str, Any]:
    """Try to cut a network into K local modules, on the meta device.

    Args:
        network (Mapping): Its config.
        scope (str): The library that it is built by.
        num_modules (int): K.

    Returns:
        dict: ``units``, ``cuttable``, ``cuts``; or ``reason``, why not.
    """
    try:
        built = _build(network, scope)
        seen = probe(built, _sizes(built, scope))
        units = find_units(seen).units
        ranges = partition_uniform(units, num_modules)
        cuts = [units[stop - 1] for _, stop in ranges[:-1]]
        owners = find_owners(seen, cuts)
    except Exception as error:
        first = str(error).strip().splitlines() or ['']
        text = re.sub(r'0x[0-9a-f]+', '', first[0])[:200]
        return dict(reason=f'{type(error).__name__}: {text}')
    return dict(
        units=len(units),
        cuttable=sum(unit.cuttable for unit in units),
        cuts=[unit.name for unit in cuts],
        aside=list(owners.cuts.aside),
        skips=list(owners.cuts.skips),
    )


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


def _sizes(network: nn.Module, scope: str) -> tuple:
    own = getattr(network, 'img_size', None)
    own = own[0] if isinstance(own, (list, tuple)) else own
    return ((own,) if own else ()) + SIZES[scope]
