# Copyright (c) mmfba authors.
from collections.abc import Iterator
from typing import Any

from mmengine.structures import BaseDataElement
from torch import Tensor


def tensors_in(data: Any) -> Iterator[Tensor]:
    """Tensors of a batch: in containers, data elements and boxes."""
    if isinstance(data, Tensor):
        yield data
    elif isinstance(data, BaseDataElement):
        yield from tensors_in(list(data.all_values()))
    elif isinstance(data, dict):
        yield from tensors_in(list(data.values()))
    elif isinstance(data, (list, tuple)):
        for item in data:
            yield from tensors_in(item)
    # mmdet wraps boxes in an object.
    elif isinstance(getattr(data, 'tensor', None), Tensor):
        yield data.tensor
