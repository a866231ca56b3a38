# Copyright (c) mmfba authors.
"""Units that compute the same in another way: checkpoint and lean stem."""

from functools import partial
from typing import Any, Callable, Dict, List

from torch import nn

from mmfba.local import Unit
from mmfba.local.lean_stem import lean_stem
from mmfba.local.recompute import recomputing
from mmfba.local.replacement import as_one

from .blocks import recomputed_by_path


def other_forwards(model: Any) -> Dict[nn.Module, Callable[..., Any]]:
    """Forwards that modules of a local model run in a training step, see
    :func:`mmfba.local.replaced`."""
    units = recomputed_units(model)
    forwards: Dict[nn.Module, Callable[..., Any]] = {}
    if model.options.lean_stem:
        units = [unit for unit in units if unit is not model.anatomy.units[0]]
        stem = stem_of(model)
        forwards = as_one(stem, partial(lean_stem, stem))
    network = model.local_backbone
    blocks = [
        network.get_submodule(unit.end) for unit in units if unit.is_one_module
    ]
    by_path = {block: recomputed_by_path(block) for block in blocks}
    return {
        **recomputing(network, units),
        **{block: forward for block, forward in by_path.items() if forward},
        **forwards,
    }


def recomputed_units(model: Any) -> List[Unit]:
    """Units of a local model that are run again in the backward."""
    return [
        unit
        for index in model.checkpointed
        for unit in model.anatomy.units[slice(*model.ranges[index])]
    ]


def stem_of(model: Any) -> List[nn.Module]:
    """Modules of a local model's first unit, in order, up to what runs
    between them."""
    (names, *_) = model.anatomy.units[0].runs
    return [model.local_backbone.get_submodule(name) for name in names]
