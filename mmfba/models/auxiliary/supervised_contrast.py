# Copyright (c) mmfba authors.
import torch
import torch.nn.functional as F
from torch import Tensor

from mmfba.local.precision import at_least_float32, no_autocast

TEMPERATURE = 0.07
"""Tau of InfoPro."""


def supervised_contrast(embeddings: Tensor, labels: Tensor) -> Tensor:
    r"""Supervised contrastive loss with one view of each image.

    .. math::
        -\frac{1}{N}\sum_i \frac{1}{|P_i|}\sum_{p \in P_i} \log
        \frac{\exp(z_i \cdot z_p / \tau)}
        {\sum_{a \neq i}\exp(z_i \cdot z_a / \tau)}

    `Supervised Contrastive Learning <https://arxiv.org/abs/2004.11362>`_, as
    InfoPro uses it, of embeddings (N, C) scaled to length 1. :math:`P_i` are
    the other images of the same class; an image without any adds zero.
    """
    with no_autocast(embeddings.device.type):
        z = F.normalize(at_least_float32(embeddings), dim=1)
        itself = torch.eye(len(z), dtype=torch.bool, device=z.device)
        logits = (z @ z.T / TEMPERATURE).masked_fill(itself, float('-inf'))
        log_prob = logits.log_softmax(dim=1).masked_fill(itself, 0)
        positive = (labels[:, None] == labels[None]) & ~itself
        count = positive.sum(dim=1).clamp(min=1)
        return -((log_prob * positive).sum(dim=1) / count).mean()
