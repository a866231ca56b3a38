# Copyright (c) mmfba authors.
"""Shapes of results on the meta device, without PyTorch's way to them.

Of norms it runs what they compute, operator by operator in Python, and what
two maps broadcast to is Python, too: most of the time of a step that computes
nothing.
"""

from collections.abc import Sequence
from typing import Any, Optional

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

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
}
"""Operators, and functions of their arguments that return what they do."""

_known: dict[Any, tuple[Any, ...]] = {}


class OnMeta(TorchDispatchMode):
    """Runs operators on the meta device.

    Every value that is read is 1, as in ``if weight.any()``; so masks leave
    all there is, as of positive points. What a pointwise operator returns
    depends on shapes, strides and types alone, and is remembered.
    """

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func is aten._local_scalar_dense.default:
            return 1
        if not (args and getattr(args[0], 'is_meta', False)):
            return func(*args, **kwargs)
        if func is aten._to_copy.default:
            if kwargs.get('device') == torch.device('cpu'):
                return torch.ones(args[0].shape, dtype=args[0].dtype)
        if func is aten.nonzero.default:
            return torch.stack(_all_of(args[0]), 1)
        if func is aten.index.Tensor:
            indices = [
                _all_of(i) if i is not None and i.dtype == torch.bool else [i]
                for i in args[1]
            ]
            args = args[0], sum(indices, [])
        return _run(func, args, kwargs)


def _all_of(mask: Tensor) -> list[Tensor]:
    """What ``torch.where`` gives if all is true."""
    return [mask.new_empty(mask.numel(), dtype=torch.long)] * mask.dim()


def _run(func: Any, args: Sequence[Any], kwargs: dict) -> Any:
    if func in NORMS:
        return NORMS[func](*args, **kwargs)
    pointwise = torch.Tag.pointwise in func.tags
    if pointwise and func._schema.name.endswith('_'):  # in place
        return args[0]
    if not pointwise or func._schema.is_mutable:  # that has an out=
        return func(*args, **kwargs)
    key = func, _describe(args), _describe(tuple(kwargs.items()))
    if key in _known:
        size, stride, dtype = _known[key]
        return torch.empty_strided(size, stride, dtype=dtype, device='meta')
    result = func(*args, **kwargs)
    if isinstance(result, Tensor) and result.is_meta:
        _known[key] = result.shape, result.stride(), result.dtype
    return result


def _describe(arg: Any) -> Any:
    """What tells arguments apart; 1, 1.0 and True are equal else."""
    if isinstance(arg, Tensor):
        return arg.shape, arg.stride(), arg.dtype, arg.device
    if isinstance(arg, (list, tuple)):
        return tuple(map(_describe, arg))
    return type(arg), arg
