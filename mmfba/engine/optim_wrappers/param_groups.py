# Copyright (c) mmfba authors.
"""Fewer groups of parameters, so that a step launches fewer operators."""

from typing import Any, Callable, Dict, List

import torch
from torch.optim import Optimizer

Group = Dict[str, Any]


def step_by_merged_groups(optimizer: Optimizer) -> Callable[[Optimizer], None]:
    """Let an optimizer step with one group for all that are set alike.

    ``paramwise_cfg`` makes a group of each parameter, and an optimizer runs
    its operators for each group. The groups are merged for a step alone:
    hooks, schedulers and checkpoints have those that were given.

    Args:
        optimizer (torch.optim.Optimizer): It is left alone where it has
            distributed its groups to processes.

    Returns:
        Callable: Gives the optimizer its groups again after a step that
        failed.
    """
    given: List[Group] = []
    merged_of: List[Group] = []

    @torch.compiler.disable
    def merge(optimizer: Optimizer, *_: Any) -> None:
        given[:] = optimizer.param_groups
        merged_of[:] = _merged(given)
        by_id = {id(group): group for group in merged_of}
        optimizer.param_groups = list(by_id.values())

    @torch.compiler.disable
    def split(optimizer: Optimizer, *_: Any) -> None:
        if not given:
            return
        # Some optimizers count and adapt in their groups.
        for group, merged in zip(given, merged_of):
            group.update(_settings(merged))
        optimizer.param_groups = list(given)
        given.clear()

    if not hasattr(optimizer, 'consolidate_state_dict'):
        optimizer.register_step_pre_hook(merge)
        optimizer.register_step_post_hook(split)
    return split


def _merged(groups: List[Group]) -> List[Group]:
    """The merged group of each group."""
    found: List[Group] = []
    kinds: List[tuple] = []
    for group in groups:
        settings = _settings(group)
        for known, merged in kinds:
            if known == settings:
                merged['params'].extend(group['params'])
                break
        else:
            merged = dict(group, params=list(group['params']))
            kinds.append((settings, merged))
        found.append(merged)
    return found


def _settings(group: Group) -> Group:
    return {key: group[key] for key in group if key != 'params'}
