# Copyright (c) mmfba authors.
"""Simplified blocks of a network's own kind, for the paper's SLM.

What remains by family: everything else about a network is found by a probe.
"""

from .image_tail import ImageTail, image_tail
from .make_stage import make_stage
from .residual import Residual, residual_parts

__all__ = [
    'ImageTail',
    'Residual',
    'image_tail',
    'make_stage',
    'residual_parts',
]
