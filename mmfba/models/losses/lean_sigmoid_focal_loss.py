# Copyright (c) mmfba authors.
from typing import Iterator, Optional, Tuple

import torch
import torch.nn.functional as F
from mmdet.models.losses import FocalLoss
from torch import Tensor

from mmfba.registry import MODELS

SLICE = 2**20
"""Elements that are worked on at a time, at least: temporaries of 4 MiB."""
SLICES = 8
"""How many slices there are, at most: a GPU spends its time on launching the
kernels of more."""


@MODELS.register_module()
class LeanSigmoidFocalLoss(FocalLoss):
    r"""Sigmoid focal loss that keeps the logits and labels only.

    .. math::
        FL(p_t) = -\alpha_t (1 - p_t)^\gamma \log(p_t)

    Eq. 5 of `Focal Loss for Dense Object Detection
    <https://arxiv.org/abs/1708.02002>`_. Loss and gradient are those of
    mmdet's ``FocalLoss``. Without mmcv's CUDA kernel that one keeps some ten
    tensors of the size of the logits for its backward, and with it the loss
    of every element; this one works through the logits in slices, in
    float32, and keeps nothing but its inputs.

    Args:
        use_sigmoid (bool): Has to be True, as in mmdet, whose heads read it
            in the config: name it there too. Defaults to True.
        gamma (float): Defaults to 2.0.
        alpha (float): Defaults to 0.25.
        reduction (str): ``'mean'`` or ``'sum'``. Defaults to ``'mean'``.
        loss_weight (float): Defaults to 1.0.

    Raises:
        ValueError: If the reduction is none of these, the targets are not
            class indices, or probabilities are given instead of logits.
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        if self.activated:
            raise ValueError(
                'LeanSigmoidFocalLoss: activated=True: it takes logits; use '
                'mmdet.FocalLoss for probabilities'
            )

    def forward(
        self,
        pred: Tensor,
        target: Tensor,
        weight: Optional[Tensor] = None,
        avg_factor: Optional[float] = None,
        reduction_override: Optional[str] = None,
    ) -> Tensor:
        """Compute the loss.

        Args:
            pred (Tensor): Logits (N, C).
            target (Tensor): Class indices (N, ); C is the background.
            weight (Tensor, optional): (N, ) or (N, C). Defaults to None.
            avg_factor (float, optional): What the sum is divided by; without
                it the mean is taken. Defaults to None.
            reduction_override (str, optional): Instead of ``reduction``.
                Defaults to None.

        Returns:
            Tensor: A scalar.
        """
        reduction = reduction_override or self.reduction
        if reduction not in ('mean', 'sum') or pred.dim() == target.dim():
            raise ValueError(
                f'LeanSigmoidFocalLoss: reduction={reduction!r}, targets of '
                f"shape {tuple(target.shape)}: use reduction 'mean' or 'sum' "
                'and class indices, or mmdet.FocalLoss'
            )
        if reduction == 'sum' and avg_factor is not None:
            raise ValueError(
                f'LeanSigmoidFocalLoss: avg_factor={avg_factor} has no '
                "meaning with reduction='sum': use reduction='mean'"
            )
        if weight is not None:
            each = weight.numel() == pred.numel()
            weight = weight.view_as(pred) if each else weight.view(-1, 1)
        total = _FocalSum.apply(pred, target, weight, self.gamma, self.alpha)
        if reduction == 'mean':
            eps = torch.finfo(torch.float32).eps
            total = total / (
                pred.numel() if avg_factor is None else avg_factor + eps
            )
        return self.loss_weight * total


class _FocalSum(torch.autograd.Function):
    """Weighted sum over all elements.

    With z = x where the class is negative and -x where it is positive, both
    cases are a * sigmoid(z)^gamma * softplus(z).
    """

    @staticmethod
    def forward(
        ctx,
        pred: Tensor,
        target: Tensor,
        weight: Optional[Tensor],
        gamma: float,
        alpha: float,
    ) -> Tensor:
        ctx.save_for_backward(pred, target, weight)
        ctx.gamma, ctx.alpha = gamma, alpha
        total = pred.new_zeros((), dtype=_wide(pred))
        for _, *part in _slices(pred, target, weight):
            z, a, _ = _terms(*part, alpha)
            total += z.sigmoid().pow_(gamma).mul_(F.softplus(z)).mul_(a).sum()
            del z, a, _  # the next slice's take their place
        return total

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tuple[Optional[Tensor], ...]:
        pred, target, weight = ctx.saved_tensors
        result = torch.empty_like(pred)
        for rows, *part in _slices(pred, target, weight):
            z, a, sign = _terms(*part, ctx.alpha)
            a.mul_(sign).mul_(grad)
            p = z.sigmoid()
            slope = F.softplus(z).mul_(1 - p).mul_(ctx.gamma).add_(p)
            result[rows] = slope.mul_(p.pow_(ctx.gamma)).mul_(a)
            del z, a, sign, p, slope
        return result, None, None, None, None


def _slices(
    pred: Tensor, target: Tensor, weight: Optional[Tensor]
) -> Iterator[Tuple[slice, Tensor, Tensor, Optional[Tensor]]]:
    """Rows, and these of each tensor, slice by slice."""
    least = SLICE // max(1, pred.shape[1])
    step = max(1, least, -(-len(pred) // SLICES))
    for start in range(0, len(pred), step):
        rows = slice(start, start + step)
        part = None if weight is None else weight[rows]
        yield rows, pred[rows], target[rows], part


def _terms(
    pred: Tensor, target: Tensor, weight: Optional[Tensor], alpha: float
) -> Tuple[Tensor, Tensor, Tensor]:
    """z, weight a and sign of dz/dx."""
    classes = torch.arange(pred.shape[1], device=pred.device)
    positive = target[:, None] == classes
    sign = positive.to(_wide(pred)).mul_(-2).add_(1)
    a = torch.full_like(sign, 1 - alpha).masked_fill_(positive, alpha)
    return pred * sign, a if weight is None else a.mul_(weight), sign


def _wide(x: Tensor) -> torch.dtype:
    return torch.float64 if x.dtype == torch.float64 else torch.float32
