# Copyright (c) mmfba authors.
"""Which networks of the libraries' own configs can be trained locally.

A static check: shapes and graphs, no data, no training.
"""

import hashlib
import json
import textwrap
from collections import Counter
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Tuple

from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope

from mmfba.local.ownership import find_owners
from mmfba.local.partition import partition_by_memory
from mmfba.local.unit_finder import find_units

from .network_units import network_config, probe_network

NUM_MODULES = 4
"""K of the check, or as many as the network has units to cut after."""


def read_networks(library: str) -> Dict[str, Any]:
    """Read all configs of a library, and sort them by what is to be checked.

    Returns:
        dict: ``networks``, one for all configs that have the same, with
        ``key``, ``type``, ``scope``, ``configs`` (their names) and
        ``network``; ``unreadable``, configs with the reason; the number of
        configs that train no model (``not_trained``), and of those of
        ``other_tasks``, by the type of their model.
    """
    root = _root(library)
    networks: Dict[str, Dict[str, Any]] = {}
    unreadable: List[Dict[str, str]] = []
    other_tasks: Counter = Counter()
    not_trained = 0
    for path in sorted(root.rglob('*.py')):
        name = path.relative_to(root).as_posix()
        if name.startswith('_base_/') or '/_base_/' in name:
            continue
        try:
            cfg = Config.fromfile(path)
        except Exception as error:  # a config is a program
            reason = _one_line(error, root)
            unreadable.append(dict(config=name, reason=reason))
            continue
        model = cfg.get('model')
        if not model or cfg.get('train_dataloader') is None:
            not_trained += 1
            continue
        network, scope = network_config(cfg), cfg.get('default_scope')
        if network is None or not _is_checked(library, model.type, scope):
            other_tasks[str(model.type)] += 1
            continue
        key = _key(network, scope)
        row = networks.setdefault(
            key,
            dict(
                key=key,
                type=str(network.get('type')),
                scope=scope,
                configs=[],
                network=network,
            ),
        )
        row['configs'].append(name)
    return dict(
        networks=list(networks.values()),
        unreadable=unreadable,
        not_trained=not_trained,
        other_tasks=dict(sorted(other_tasks.items())),
    )


def check_network(network: Dict[str, Any], scope: str) -> Dict[str, Any]:
    """Cut a network of :func:`network_config` into local modules.

    Returns:
        dict: The ``cuts``, names of units, if each trained parameter has one
        owner; otherwise the ``reason`` why not.
    """
    try:
        probed = probe_network(network, scope)
        units = find_units(probed).units
        possible = 1 + sum(unit.cuttable for unit in units[:-1])
        if possible < 2:
            raise ValueError('No cut is possible after any of its units')
        ranges = partition_by_memory(units, min(NUM_MODULES, possible))
        cuts = [units[stop - 1] for _, stop in ranges[:-1]]
        find_owners(probed, cuts)
    except Exception as error:  # of any network
        return dict(reason=_one_line(error))
    return dict(cuts=[unit.name for unit in cuts])


def check_networks(
    networks: List[Dict[str, Any]],
    known: Optional[List[Dict[str, Any]]] = None,
) -> Iterator[Tuple[Dict[str, Any], bool]]:
    """Check networks of :func:`read_networks` one after the other.

    Yields:
        tuple[dict, bool]: The row of a network, and whether it is new: those
        that could be cut in the rows ``known`` are not checked again.
    """
    cut = {row['key']: row for row in known or () if 'cuts' in row}
    for network in networks:
        row = {k: network[k] for k in ('key', 'type', 'configs')}
        if network['key'] in cut:
            yield dict(row, cuts=cut[network['key']]['cuts']), False
        else:
            found = check_network(network['network'], network['scope'])
            yield dict(row, **found), True


def _root(library: str) -> Path:
    return Path(find_spec(library).origin).parent / '.mim/configs'


def _is_checked(library: str, kind: str, scope: str) -> bool:
    """Whether local learning is meant for such a model at all."""
    if library == 'mmdet':
        return True
    if library == 'mmagic':
        return kind == 'BaseEditModel'
    from mmpretrain.models import BaseClassifier

    with DefaultScope.overwrite_default_scope(scope):
        with MODELS.switch_scope_and_registry(scope) as registry:
            found = registry.get(kind)
    return isinstance(found, type) and issubclass(found, BaseClassifier)


def _key(network: Dict[str, Any], scope: str) -> str:
    text = json.dumps([scope, network], default=str, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _one_line(error: Exception, root: Optional[Path] = None) -> str:
    text = f'{type(error).__name__}: {error}'
    text = text if root is None else text.replace(f'{root}/', '')
    return textwrap.shorten(text, 300, placeholder='...')
