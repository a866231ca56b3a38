# Copyright (c) mmfba authors.
"""What the auxiliary networks of classification share."""

from typing import Any, Dict, Sequence

import torch
from torch import Tensor, nn

from mmfba.local.losses import weigh_losses

from ..unit_spec import UnitSpec
from .task_head import TaskHead


def build_classifier(spec: UnitSpec, in_channels: int) -> nn.Module:
    """A copy of the main network's head with weights of its own.

    Its ``loss()`` takes the targets as the main head's does: labels, smoothed
    ones, or the scores of Mixup.

    Args:
        spec (UnitSpec): The cut.
        in_channels (int): Length of the vectors that it classifies.

    Returns:
        nn.Module: The head.

    Raises:
        ValueError: If the main network does no classification.
    """
    check_classification(spec)
    return TaskHead(spec, in_channels, mode='copy')


def check_classification(spec: UnitSpec) -> None:
    """Refuse a main network that does no classification.

    Args:
        spec (UnitSpec): The cut.

    Raises:
        ValueError: It names what to use in its place.
    """
    scope = spec.main.registry.scope
    if scope != 'mmpretrain':
        raise ValueError(
            'auxiliary.type: this auxiliary network classifies, the main '
            f"network is one of {scope}: use 'mmfba.FBAAuxiliary', or "
            "model.type='mmfba.LocalImageClassifier'"
        )


def classifier_losses(
    head: nn.Module, x: Tensor, data_samples: Sequence[Any], weight: float
) -> Dict[str, Any]:
    """Losses of a classifier that is one of several terms.

    Args:
        head (nn.Module): What :func:`build_classifier` returned.
        x (Tensor): Vectors (N, in_channels).
        data_samples (Sequence[DataSample]): Their labels.
        weight (float): Weight of the loss.

    Returns:
        dict: The head's losses; ``loss`` is called ``loss_cls``.
    """
    losses = weigh_losses(head.loss((x,), data_samples), weight)
    return {
        'loss_cls' if name == 'loss' else name: value
        for name, value in losses.items()
    }


def class_scores(data_samples: Sequence[Any], num_classes: int) -> Tensor:
    """Targets as vectors: one-hot, or the scores of Mixup.

    Args:
        data_samples (Sequence[DataSample]): N samples.
        num_classes (int): Number of classes.

    Returns:
        Tensor: (N, num_classes).
    """
    if 'gt_score' in data_samples[0]:
        return torch.stack([sample.gt_score for sample in data_samples])
    labels = class_labels(data_samples)
    scores = torch.zeros(len(labels), num_classes, device=labels.device)
    # As F.one_hot, which does not run on the meta device of torch 2.1.
    return scores.scatter_(1, labels[:, None], 1.0)


def class_labels(data_samples: Sequence[Any]) -> Tensor:
    """Labels (N,) of N samples."""
    return torch.cat([sample.gt_label for sample in data_samples])
