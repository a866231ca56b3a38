# Copyright (c) mmfba authors.
from collections.abc import Mapping
from typing import Any

from mmengine.config import Config

from mmfba.type_name import type_name

TIMES = ('begin', 'end', 'milestones', 'step_size', 'T_max', 'total_iters')
TIMES += ('total_steps', 'periods', 'restart_times')
"""Of schedulers, in iterations where they are not by epoch."""


def stretched_schedule(cfg: Config, count: int) -> dict[str, Any]:
    """What an accumulation changes in a schedule that counts iterations.

    MMEngine counts each part of a batch as an iteration.

    Args:
        cfg (Config): The config.
        count (int): Parts of a batch.

    Returns:
        dict: New values by their dotted keys.
    """
    changes = {}
    loop = cfg.get('train_cfg') or {}
    if 'max_iters' in loop or 'Iter' in type_name(loop.get('type')):
        for key in ('max_iters', 'val_interval', 'val_begin'):
            if key in loop:
                changes[f'train_cfg.{key}'] = loop[key] * count
    schedulers = cfg.get('param_scheduler') or []
    single = isinstance(schedulers, Mapping)
    for index, part in enumerate([schedulers] if single else schedulers):
        path = 'param_scheduler' + ('' if single else f'.{index}')
        if part.get('by_epoch', True):
            continue
        for key in TIMES:
            value = part.get(key)
            if isinstance(value, (list, tuple)):
                changes[f'{path}.{key}'] = [x * count for x in value]
            elif value:
                changes[f'{path}.{key}'] = value * count
    return changes
