# Copyright (c) mmfba authors.
"""What is known of a family of networks: how its blocks are made, for the
SLM, and how its tail restores an image. Any other network has light blocks.
"""

from .image_tail import ImageTail, image_tail
from .residual import forward_blocks, recomputed_by_path
from .stage_maker import makes_own_blocks, stage_maker

__all__ = [
    'ImageTail',
    'forward_blocks',
    'image_tail',
    'makes_own_blocks',
    'recomputed_by_path',
    'stage_maker',
]
