# Copyright (c) mmfba authors.
from itertools import repeat
from typing import Iterator, Optional, Tuple

import torch
from torch import Tensor

ELEMENTS = 3 * 2**21
"""Of a temporary tensor, at most, unless one row has more: 24 MiB."""
HALF_SCALE = 2.0**12
"""Float16 holds gradients times this: most are too small for it. Weights may
be up to 14."""


def sigmoid_focal_sum(
    logits: Tensor,
    labels: Tensor,
    weight: Optional[Tensor],
    gamma: float,
    alpha: float,
    overwrite: bool = False,
) -> Tensor:
    r"""Weighted sum of the sigmoid focal loss over all elements.

    .. math::
        FL(p_t) = -\alpha_t (1 - p_t)^\gamma \log(p_t)

    Eq. 5 of `Focal Loss for Dense Object Detection
    <https://arxiv.org/abs/1708.02002>`_. Nothing is kept for the backward but
    what is given, or the gradient in its place. All is computed as if it were
    background, in slices and in float32; what has a class is set right by a
    gather and a scatter.

    Args:
        logits (Tensor): (R, C, P), as a convolution with C classes for each
            of its anchors gives them.
        labels (Tensor): Class indices (R, P); C is the background.
        weight (Tensor, optional): (R, 1, P) or (R, C, P).
        gamma (float): See the equation.
        alpha (float): Of what has a class; 1 - alpha of what has not.
        overwrite (bool): Whether the gradient is computed with the loss and
            takes the place of the logits, whose values nobody may need any
            more; then there is one backward only. Defaults to False.

    Returns:
        Tensor: A scalar.
    """
    return _FocalSum.apply(logits, labels, weight, gamma, alpha, overwrite)


class _FocalSum(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx,
        logits: Tensor,
        labels: Tensor,
        weight: Optional[Tensor],
        gamma: float,
        alpha: float,
        overwrite: bool,
    ) -> Tensor:
        ctx.constants, ctx.overwrite, ctx.done = (
            (gamma, alpha),
            overwrite,
            False,
        )
        if overwrite:
            x = logits.detach()
            total = _to_gradient(x, labels, weight, gamma, alpha)
            ctx.save_for_backward(x)
            return total
        ctx.save_for_backward(logits, labels, weight)
        return sum(
            _to_gradient(logits[rows].clone(), *part, gamma, alpha)
            for rows, *part in _slices(logits, labels, weight)
        )

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tuple[Optional[Tensor], ...]:
        if ctx.done:
            raise RuntimeError(
                'sigmoid_focal_sum(overwrite=True) has one backward only: '
                'set overwrite=False, or local_learning.fast_head=False'
            )
        ctx.done = ctx.overwrite
        x, *rest = ctx.saved_tensors
        if not ctx.overwrite:
            x = x.clone()
            for rows, *part in _slices(x, *rest):
                _to_gradient(x[rows], *part, *ctx.constants)
        return x.mul_(grad / _scale(x)), None, None, None, None, None


def _slices(
    x: Tensor, labels: Tensor, weight: Optional[Tensor]
) -> Iterator[Tuple[slice, Tensor, Optional[Tensor]]]:
    """Rows, and labels and weights of these, slice by slice."""
    step = max(1, ELEMENTS // max(1, x[:1].numel()))
    for start in range(0, max(1, len(x)), step):
        rows = slice(start, start + step)
        yield rows, labels[rows], None if weight is None else weight[rows]


def _scale(x: Tensor) -> float:
    return HALF_SCALE if x.dtype == torch.float16 else 1.0


def _to_gradient(
    x: Tensor,
    labels: Tensor,
    weight: Optional[Tensor],
    gamma: float,
    alpha: float,
) -> Tensor:
    """The loss of logits (R, C, P), whose gradient, times :func:`_scale`,
    takes their place."""
    wide = torch.float64 if x.dtype == torch.float64 else torch.float32
    scale = _scale(x)
    positive = (labels < x.shape[1])[:, None]
    index = labels.clamp(max=x.shape[1] - 1)[:, None]
    own = x.gather(1, index)
    each = weight
    if weight is None:
        weight = each = x.new_ones((), dtype=wide)
    elif each.shape == x.shape:
        each = each.gather(1, index)
    # The background's loss of minus infinity is zero, its gradient too.
    x.scatter_(1, index, own.masked_fill(positive, -torch.inf))
    step = max(1, ELEMENTS // max(1, x[:1].numel()))
    factor = weight.to(wide) * (scale * (1 - alpha))
    factors = factor.split(step) if factor.dim() else repeat(factor)
    sums = [
        _to_slope(part, factor, gamma, wide)
        for part, factor in zip(x.split(step), factors)
    ]
    factor = torch.where(positive, each.to(wide) * (scale * alpha), 0.0)
    own = -own.to(wide)
    sums.append(_to_slope(own, factor, gamma, wide))
    x.scatter_add_(1, index, own.neg_().to(x.dtype))
    return torch.stack(sums).sum() / scale


def _to_slope(
    x: Tensor, factor: Tensor, gamma: float, wide: torch.dtype
) -> Tensor:
    """The sum of factor * sigmoid(x)^gamma * softplus(x), whose derivative
    takes the place of x."""
    s = x.to(wide)
    p = torch.sigmoid(s)
    torch.ops.aten.softplus.out(s, out=s)
    q = p.pow(gamma).mul_(factor)
    total = torch.dot(s.flatten(), q.flatten())
    # The derivative of softplus is p: s becomes gamma s (1 - p) + p.
    s.mul_(gamma).lerp_(s.new_ones(()), p).mul_(q)
    if s is not x:
        x.copy_(s)
    return total
