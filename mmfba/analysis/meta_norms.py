# Copyright (c) mmfba authors.
"""Shapes of normalisation on the meta device.

PyTorch finds them there by running what it computes, operator by operator in
Python: most of the time of a step that computes nothing.
"""

from collections.abc import Sequence
from typing import Any, Optional

import torch
from torch import Tensor

Tensors = tuple[Optional[Tensor], ...]
aten = torch.ops.aten


def _batch_norm(x: Tensor, *_: Any) -> Tensors:
    return _normalised(x, x.shape[1:2])


def _group_norm(
    x: Tensor,
    weight: Optional[Tensor],
    bias: Optional[Tensor],
    n: int,
    c: int,
    pixels: int,
    groups: int,
    eps: float,
) -> Tensors:
    return _normalised(x, (n, groups))


def _layer_norm(x: Tensor, shape: Sequence[int], *_: Any) -> Tensors:
    before = x.shape[: x.dim() - len(shape)]
    return _normalised(x, (*before, *[1] * len(shape)))


def _normalised(x: Tensor, shape: Sequence[int]) -> Tensors:
    """The result, and the statistics that the backward reads."""
    wide = torch.promote_types(x.dtype, torch.float32)
    mean, scale = (x.new_empty(shape, dtype=wide) for _ in range(2))
    return torch.empty_like(x), mean, scale


def _batch_norm_backward(
    grad: Tensor, x: Tensor, weight: Optional[Tensor], *rest: Any
) -> Tensors:
    return _gradients(x, weight, rest[-1])


def _group_norm_backward(
    grad: Tensor,
    x: Tensor,
    mean: Tensor,
    scale: Tensor,
    weight: Optional[Tensor],
    *rest: Any,
) -> Tensors:
    return _gradients(x, weight, rest[-1])


def _layer_norm_backward(
    grad: Tensor,
    x: Tensor,
    shape: Sequence[int],
    mean: Tensor,
    scale: Tensor,
    weight: Optional[Tensor],
    *rest: Any,
) -> Tensors:
    return _gradients(x, weight, rest[-1])


def _gradients(
    x: Tensor, weight: Optional[Tensor], asked: Sequence[bool]
) -> Tensors:
    """Of input, weight and bias, those that are asked for."""
    likes = (x, weight, weight)
    return tuple(
        torch.empty_like(like) if ask else None
        for like, ask in zip(likes, asked)
    )


NORMS = {
    aten.native_batch_norm.default: _batch_norm,
    aten.native_batch_norm_backward.default: _batch_norm_backward,
    aten.native_group_norm.default: _group_norm,
    aten.native_group_norm_backward.default: _group_norm_backward,
    aten.native_layer_norm.default: _layer_norm,
    aten.native_layer_norm_backward.default: _layer_norm_backward,
    # The ReLU that follows.
    aten.threshold_backward.default: lambda grad, x, *_: torch.empty_like(x),
}
"""Operators, and functions of their arguments that return what they do."""
