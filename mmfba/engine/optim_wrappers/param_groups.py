# Copyright (c) mmfba authors.
"""Fewer groups of parameters, so that a step launches fewer operators."""

from typing import Any, Dict, List

from torch.optim import Optimizer

Groups = List[Dict[str, Any]]


def merge_equal_groups(groups: Groups) -> Groups:
    """One group for all that have the same settings.

    ``paramwise_cfg`` makes a group of each parameter, and an optimizer runs
    its operators for each group.

    Args:
        groups (list[dict]): The ``param_groups`` of an optimizer.

    Returns:
        list[dict]: New ones, with the same parameters.
    """
    merged: Groups = []
    for group in groups:
        settings = _settings(group)
        for known in merged:
            if _settings(known) == settings:
                known['params'].extend(group['params'])
                break
        else:
            merged.append(dict(group, params=list(group['params'])))
    return merged


class MergedGroups:
    """The groups of an optimizer, those with the same settings as one.

    Args:
        optimizer (torch.optim.Optimizer): What to change, unless it has
            distributed its groups to processes.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self.given = optimizer.param_groups
        if not hasattr(optimizer, 'consolidate_state_dict'):
            optimizer.param_groups = merge_equal_groups(self.given)

    def match(self, optimizer: Optimizer, state: Dict[str, Any]) -> None:
        """Take the given groups again, for a state that has as many: that of
        another wrapper."""
        num = len(state['param_groups'])
        if num == len(self.given) != len(optimizer.param_groups):
            optimizer.param_groups = self.given


def _settings(group: Dict[str, Any]) -> Dict[str, Any]:
    return {key: group[key] for key in group if key != 'params'}
