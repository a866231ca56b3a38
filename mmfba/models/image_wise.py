# Copyright (c) mmfba authors.
"""Task losses of some images at a time that sum up to those of the batch.

A head's own ``loss()`` is called on some images and rescaled: what it is
divided by, its normaliser, is known for the families of heads in
``NORMALISERS``. Any other head is refused by name.
"""

from typing import Any, Callable, Dict, List, Optional, Sequence

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmfba.local.losses import weigh_losses

# mmdet's losses add it to the normaliser.
EPS = torch.finfo(torch.float32).eps

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
    'LeanSigmoidFocalLoss',
    'SmoothL1Loss',
)
PIXEL_LOSSES = ('CharbonnierLoss', 'L1Loss', 'MSELoss')


def count_anchors(
    head: nn.Module, features: Sequence[Tensor], data_samples: List[Any]
) -> List[float]:
    """What each image adds to the normaliser of mmdet's ``AnchorHead``.

    Args:
        head (nn.Module): The head.
        features (Sequence[Tensor]): Maps of its levels, of any images.
        data_samples (list[DetDataSample]): All images of the batch.

    Returns:
        list[float]: One number for each image: its positive anchors, at
        least 1.
    """
    from mmdet.models.utils import unpack_gt_instances

    gts, ignored, metas = unpack_gt_instances(data_samples)
    sizes = [tuple(feature.shape[-2:]) for feature in features]
    anchors, valid = head.get_anchors(sizes, metas, features[0].device)
    counts = []
    for i in range(len(metas)):
        image = slice(i, i + 1)
        targets = head.get_targets(
            anchors[image],
            valid[image],
            gts[image],
            metas[image],
            batch_gt_instances_ignore=ignored and ignored[image],
        )
        counts.append(float(targets[4]))
    return counts


NORMALISERS: Dict[str, Callable[..., List[float]]] = {
    'AnchorHead': count_anchors
}
"""By the name of the class that defines ``loss_by_feat``."""


class ImageWiseHeadLoss:
    """The loss of a dense head of mmdet for some images of a batch.

    Args:
        head (nn.Module): The head.
        data_samples (list[DetDataSample]): All images of the batch.
    """

    def __init__(self, head: nn.Module, data_samples: List[Any]) -> None:
        self.head = head
        self.data_samples = data_samples
        self._counts: Optional[List[float]] = None

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
        if self._counts is None:
            count = NORMALISERS[_definer(self.head, 'loss_by_feat')]
            with torch.no_grad():
                self._counts = count(self.head, features, self.data_samples)
        part, whole = sum(self._counts[rows]), sum(self._counts)
        return weigh_losses(losses, (part + EPS) / (whole + EPS))


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
    family = _definer(head, 'loss_by_feat')
    name = type(head).__name__
    if (
        family not in NORMALISERS
        or _definer(head, 'get_targets') != family
        or _definer(head, 'loss') != 'BaseDenseHead'
    ):
        _refuse(
            f'{name} computes its loss in a way of its own; known are heads '
            f'with the loss of {sorted(NORMALISERS)}'
        )
    if getattr(head, 'sampling', False):
        _refuse(f'{name} samples anchors at random')
    for key in ('loss_cls', 'loss_bbox'):
        loss = type(getattr(head, key)).__name__
        if loss not in ELEMENT_WISE:
            _refuse(f'{key}={loss} is none of {list(ELEMENT_WISE)}')
    check_no_batch_norm(head)


def check_image_wise_pixels(pixel_loss: nn.Module) -> None:
    """Refuse a pixel loss that is no mean or sum over pixels.

    Raises:
        ValueError: It names the loss.
    """
    name = type(pixel_loss).__name__
    if name not in PIXEL_LOSSES:
        _refuse(f'pixel_loss={name} is none of {list(PIXEL_LOSSES)}')


def check_no_batch_norm(part: nn.Module) -> None:
    """Refuse batch normalisation, which crosses images.

    Raises:
        ValueError: It names the module.
    """
    for name, module in part.named_modules():
        if isinstance(module, _BatchNorm):
            _refuse(
                f'{type(part).__name__}.{name} normalises over the batch; '
                "norm_cfg=dict(type='GN', num_groups=32) does not"
            )


def _definer(obj: Any, method: str) -> str:
    """Name of the class that defines a method of ``obj``."""
    return next(
        (c.__name__ for c in type(obj).__mro__ if method in vars(c)), ''
    )


def _refuse(reason: str) -> None:
    raise ValueError(
        f'local_learning.chunk: {reason}, so that some images at a time '
        'would not give the gradients of the batch: leave chunk out'
    )
