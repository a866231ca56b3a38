# Copyright (c) mmfba authors.
"""What necks and heads take and return, found by runs without data."""

from dataclasses import dataclass
from typing import Any, Iterable, List, Mapping, Optional, Sequence, Tuple

import torch
from torch import Tensor, nn

from mmfba.local import FeatureSpec
from mmfba.local.copies import copy_module
from mmfba.local.isolation import graph_leaves
from mmfba.type_name import type_name

SIZE = 128
"""Height and width of the image that the maps would be of."""
Shape = Tuple[int, ...]


@dataclass(frozen=True)
class NeckProbe:
    """What a neck makes of the backbone's outputs.

    Args:
        read (tuple[bool]): Which of the outputs it reads.
        returns (tuple[Shape], optional): Shapes of what it returns, for two
            images; None where it cannot run without data.
    """

    read: Tuple[bool, ...]
    returns: Optional[Tuple[Shape, ...]]


def probe_neck(
    neck: Optional[nn.Module], shapes: Sequence[Shape]
) -> NeckProbe:
    """Find which outputs of the backbone a neck reads, and what it returns.

    Args:
        neck (nn.Module, optional): The neck; None where there is none. One
            that cannot run is said to read all.
        shapes (Sequence[Shape]): Shapes of the backbone's outputs, for two
            images, see :func:`map_shapes`.
    """
    every = (True,) * len(shapes)
    if neck is None:
        return NeckProbe(every, tuple(shapes))
    try:
        inputs, returned = _run_anywhere(neck, shapes)
    except Exception:  # whatever it may be, the network itself may be right
        return NeckProbe(every, None)
    leaves = graph_leaves(*returned)
    read = tuple(x in leaves for x in inputs)
    returns = tuple(tuple(x.shape) for x in returned)
    try:  # it may read the size of a map
        run_without_data(
            neck, [s if r else None for s, r in zip(shapes, read)]
        )
    except Exception:
        read = every
    return NeckProbe(read, returns)


def run_without_data(
    module: nn.Module, shapes: Sequence[Optional[Shape]]
) -> List[Shape]:
    """Run a copy of a neck or head: shapes of what it returns.

    Args:
        module (nn.Module): The module; it is not changed.
        shapes (Sequence[Shape, optional]): Shapes of what it is given, None
            for what it is not given.
    """
    _, returned = _run_anywhere(module, shapes)
    return [tuple(x.shape) for x in returned]


def map_shapes(
    features: Iterable[Optional[FeatureSpec]],
) -> List[Optional[Shape]]:
    """Shapes of features of two images, None for None."""
    return [
        f and (2, f.channels, *[max(1, SIZE // f.stride)] * 2)
        for f in features
    ]


def resized(shapes: Iterable[Shape], size: int) -> List[Shape]:
    """Shapes of outputs for images of :data:`SIZE` pixels: maps (N, C, h, w)
    are resized, others stay as they are."""
    factor = SIZE / size
    return [
        (*shape[:2], *(max(1, int(n * factor)) for n in shape[2:]))
        if len(shape) == 4
        else shape
        for shape in shapes
    ]


def neck_name(neck: Any) -> str:
    """What to call a neck in a message, from its config."""
    if isinstance(neck, (list, tuple)):
        return ' + '.join(map(neck_name, neck))
    return type_name(neck.get('type') if isinstance(neck, Mapping) else neck)


def is_fpn(neck: Any) -> bool:
    """Whether a neck's config is that of one FPN."""
    return isinstance(neck, Mapping) and neck_name(neck) == 'FPN'


def _run_anywhere(
    module: nn.Module, shapes: Sequence[Optional[Shape]]
) -> Tuple[List[Optional[Tensor]], List[Tensor]]:
    try:
        return _run(module, shapes, 'meta')
    except (NotImplementedError, RuntimeError):
        # mmcv's operators, as deformable convolution, do not run there.
        return _run(module, shapes, 'cpu')


def _run(
    module: nn.Module, shapes: Sequence[Optional[Shape]], device: str
) -> Tuple[List[Optional[Tensor]], List[Tensor]]:
    twin = copy_module(module).to_empty(device=device)
    twin.eval()  # or batch normalisation would move its statistics
    for tensor in (*twin.parameters(), *twin.buffers()):
        tensor.detach().zero_()
    with torch.enable_grad():
        inputs = [
            s and torch.zeros(s, device=device, requires_grad=True)
            for s in shapes
        ]
        returned = twin(tuple(inputs))
    return inputs, _tensors(returned)


def _tensors(returned: Any) -> List[Tensor]:
    if isinstance(returned, Tensor):
        return [returned]
    values = returned.values() if isinstance(returned, dict) else returned
    return [tensor for value in values for tensor in _tensors(value)]
