# Copyright (c) mmfba authors.
"""Task losses of some images at a time that sum up to those of the batch.

A head's own ``loss()`` is called on some images and rescaled: what it is
divided by, its normaliser, is known for some families of heads. Any other
head is refused by name.
"""

from typing import Any, Dict, List, Optional, Sequence

import torch
from torch import Tensor, nn

from mmfba.local.losses import weigh_losses
from mmfba.local.statistics import is_batch_norm
from mmfba.type_name import definer, type_name

from .normalisers import NORMALISERS, Normaliser

# Losses that are a sum over elements, divided by the head's normaliser.
ELEMENT_WISE = (
    'BalancedL1Loss',
    'CIoULoss',
    'CrossEntropyLoss',
    'DIoULoss',
    'FocalLoss',
    'GIoULoss',
    'IoULoss',
    'L1Loss',
    'SmoothL1Loss',
    'mmfba.LeanSigmoidFocalLoss',
)
PIXEL_LOSSES = ('CharbonnierLoss', 'L1Loss', 'MSELoss')


class ImageWiseHeadLoss:
    """The loss of a dense head of mmdet for some images of a batch.

    Args:
        head (nn.Module): The head.
        data_samples (list[DetDataSample]): All images of the batch.
    """

    def __init__(self, head: nn.Module, data_samples: List[Any]) -> None:
        self.head = head
        self.data_samples = data_samples
        self._normalisers: Optional[Dict[str, Normaliser]] = None

    def __call__(
        self, features: Sequence[Tensor], rows: slice
    ) -> Dict[str, Any]:
        """Compute the loss of the images ``rows``.

        Args:
            features (Sequence[Tensor]): Their pyramid.
            rows (slice): Which images they are.

        Returns:
            dict: Their part of the batch's losses.
        """
        samples = self.data_samples[rows]
        losses = self.head.loss(features, samples)
        if len(samples) == len(self.data_samples):
            return losses
        if self._normalisers is None:
            find = NORMALISERS[type_name(definer(self.head, 'loss_by_feat'))]
            with torch.no_grad():
                self._normalisers = find(
                    self.head, features, self.data_samples
                )
        parts: Dict[str, Any] = {}
        for name, normaliser in self._normalisers.items():
            loss = {name: losses[name]}
            parts.update(weigh_losses(loss, normaliser.share(rows)))
        return parts


class ImageWisePixelLoss:
    """A pixel loss for some images of a batch.

    Args:
        pixel_loss (nn.Module): The loss.
        targets (Tensor): Images of the batch, (N, C, H, W).
    """

    def __init__(self, pixel_loss: nn.Module, targets: Tensor) -> None:
        self.pixel_loss = pixel_loss
        self.targets = targets

    def __call__(self, output: Tensor, rows: slice) -> Dict[str, Tensor]:
        """Compute the loss of the images ``rows``.

        Args:
            output (Tensor): What the network makes of them.
            rows (slice): Which images they are.

        Returns:
            dict: Their part of the batch's loss.
        """
        share = 1.0
        if self.pixel_loss.reduction == 'mean':
            share = len(output) / len(self.targets)
        loss = dict(loss=self.pixel_loss(output, self.targets[rows]))
        return weigh_losses(loss, share)


def check_image_wise_head(head: nn.Module) -> None:
    """Refuse a head whose loss of some images is not known to be exact.

    Raises:
        ValueError: It names the head and the reason.
    """
    loss_by_feat = definer(head, 'loss_by_feat')
    family = type_name(loss_by_feat)
    name = type_name(type(head))
    if (
        family not in NORMALISERS
        or definer(head, 'get_targets') != loss_by_feat
        or definer(head, 'loss') != 'mmdet.BaseDenseHead'
    ):
        _refuse(
            f'{name} computes its loss in a way of its own; known are heads '
            f'with the loss of {sorted(NORMALISERS)}'
        )
    sampler = getattr(head, 'sampler', None)
    if sampler and type_name(type(sampler)) != 'PseudoSampler':
        _refuse(f'{name} samples anchors at random')
    for key in ('loss_cls', 'loss_bbox', 'loss_centerness'):
        if not hasattr(head, key):
            continue
        loss = type_name(type(getattr(head, key)))
        if loss not in ELEMENT_WISE:
            _refuse(f'{key}={loss} is none of {list(ELEMENT_WISE)}')
    check_no_batch_norm(head)


def check_image_wise_pixels(pixel_loss: nn.Module) -> None:
    """Refuse a pixel loss that is no mean or sum over pixels.

    Raises:
        ValueError: It names the loss.
    """
    name = type_name(type(pixel_loss))
    if name not in PIXEL_LOSSES:
        _refuse(f'pixel_loss={name} is none of {list(PIXEL_LOSSES)}')


def check_no_batch_norm(part: nn.Module) -> None:
    """Refuse batch normalisation, which crosses images.

    Raises:
        ValueError: It names the module.
    """
    for name, module in part.named_modules():
        if is_batch_norm(module):
            _refuse(
                f'{type(part).__name__}.{name} normalises over the batch; '
                "norm_cfg=dict(type='GN', num_groups=32) does not"
            )


def _refuse(reason: str) -> None:
    raise ValueError(
        f'local_learning.chunk: {reason}, so that some images at a time '
        'would not give the gradients of the batch: leave it out'
    )
