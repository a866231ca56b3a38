# Copyright (c) mmfba authors.
from typing import Tuple

from torch import nn

SIZES = dict(mmpretrain=(224, 32, 256, 384), mmdet=(256, 128), mmagic=(64, 48))
"""Heights and widths that a library's networks are probed with. Windows of
attention may fit into the maps of large images only."""


def probe_sizes(network: nn.Module, library: str) -> Tuple[int, ...]:
    """Heights and widths to probe a network of a library with, to be tried in
    order; the network's own size first, where it has one."""
    own = getattr(network, 'img_size', None)
    own = own[0] if isinstance(own, (list, tuple)) else own
    return ((own,) if own else ()) + SIZES[library]
