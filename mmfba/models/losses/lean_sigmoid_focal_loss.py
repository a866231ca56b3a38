# Copyright (c) mmfba authors.
from typing import Optional

import torch
from mmdet.models.losses import FocalLoss
from torch import Tensor

from mmfba.registry import MODELS

from ..sigmoid_focal_sum import sigmoid_focal_sum


@MODELS.register_module()
class LeanSigmoidFocalLoss(FocalLoss):
    r"""Sigmoid focal loss that keeps the logits and labels only.

    .. math::
        FL(p_t) = -\alpha_t (1 - p_t)^\gamma \log(p_t)

    Eq. 5 of `Focal Loss for Dense Object Detection
    <https://arxiv.org/abs/1708.02002>`_. Loss and gradient are those of
    mmdet's ``FocalLoss``. Without mmcv's CUDA kernel that one keeps some ten
    tensors of the size of the logits for its backward, and with it the loss
    of every element; this one keeps nothing but its inputs, see
    :func:`sigmoid_focal_sum`.

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
            weight = weight.view(len(pred), pred.shape[1] if each else 1, 1)
        total = sigmoid_focal_sum(
            pred[..., None], target[:, None], weight, self.gamma, self.alpha
        )
        if reduction == 'mean':
            eps = torch.finfo(torch.float32).eps
            total = total / (
                pred.numel() if avg_factor is None else avg_factor + eps
            )
        return self.loss_weight * total
