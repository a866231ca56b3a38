# Copyright (c) mmfba authors.
import copy
from typing import Any

from torch import nn

from mmfba.type_name import type_name

PRETRAINED = ('Pretrained', 'PretrainedInit')
"""A registered name and that of its class."""


def init_cfg_like(backbone: nn.Module) -> Any:
    """The ``init_cfg`` of the main network's backbone, or one from scratch
    where it is pretrained."""
    cfg = copy.deepcopy(getattr(backbone, 'init_cfg', None))
    parts = cfg if isinstance(cfg, (list, tuple)) else [cfg or {}]
    if any(type_name(part.get('type')) in PRETRAINED for part in parts):
        return [
            dict(type='Kaiming', layer='Conv2d'),
            dict(type='Constant', val=1, layer=['_BatchNorm', 'GroupNorm']),
        ]
    return cfg
