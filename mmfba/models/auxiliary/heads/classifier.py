# Copyright (c) mmfba authors.
"""What the auxiliary networks of classification share."""

from typing import Any, Dict, Sequence

import torch
from torch import Tensor, nn

from mmfba.local.losses import weigh_losses

from ...neck_probe import run_without_data
from ..unit_spec import UnitSpec
from .task_head import TaskHead


def build_classifier(spec: UnitSpec, in_channels: int) -> nn.Module:
    """A copy of the main network's head for vectors, with weights of its own.

    Its ``loss()`` takes the targets as the main head's does: labels, smoothed
    ones, or the scores of Mixup.

    Raises:
        ValueError: If the main network does no classification, or its head
            takes no vectors.
    """
    check_classification(spec)
    head = TaskHead(spec, in_channels, mode='copy')
    try:
        run_without_data(head, [(2, in_channels)])
    except Exception as error:
        raise ValueError(
            f'auxiliary.type: {type(head).__name__} cannot classify the '
            f'vectors of this auxiliary network ({error}): use '
            "'mmfba.FBAAuxiliary', which keeps the main network's neck and "
            'what its head takes'
        ) from error
    return head


def check_classification(spec: UnitSpec) -> None:
    """Refuse a main network that does no classification."""
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
    """Losses of a classifier of vectors that is one of several terms, weighed;
    ``loss`` is called ``loss_cls``."""
    losses = weigh_losses(head.loss((x,), data_samples), weight)
    return {
        'loss_cls' if name == 'loss' else name: value
        for name, value in losses.items()
    }


def check_one_task(spec: UnitSpec, what: str) -> None:
    """Refuse a head of several tasks, as mmpretrain's ``MultiTaskHead``."""
    tasks = getattr(spec.main.head_module, 'task_heads', None)
    if tasks is not None:
        raise ValueError(
            f'{what} compares images by the classes of one task, and '
            f'{type(spec.main.head_module).__name__} has the tasks '
            f"{list(tasks)}: use auxiliary.type='mmfba.FBAAuxiliary' or "
            "'mmfba.DGLAuxiliary'"
        )


def class_scores(data_samples: Sequence[Any], num_classes: int) -> Tensor:
    """Targets as vectors (N, num_classes): 1 at each label, or the scores of
    Mixup."""
    if 'gt_score' in data_samples[0]:
        return torch.stack([sample.gt_score for sample in data_samples])
    labels = torch.cat([sample.gt_label for sample in data_samples])
    counts = torch.tensor([len(sample.gt_label) for sample in data_samples])
    rows = torch.arange(len(counts)).repeat_interleave(counts)
    scores = torch.zeros(len(counts), num_classes, device=labels.device)
    scores[rows.to(labels.device), labels] = 1.0
    return scores


def class_labels(data_samples: Sequence[Any]) -> Tensor:
    """Labels (N,) of N samples; a ``ValueError`` if one has not one label."""
    for i, sample in enumerate(data_samples):
        count = len(sample.gt_label) if 'gt_label' in sample else 0
        if count != 1:
            raise ValueError(
                f"auxiliary.loss='contrast': image {i} of the batch has "
                f'{count} labels, and images are compared by one label each: '
                "use loss='ce'"
            )
    return torch.cat([sample.gt_label for sample in data_samples])
