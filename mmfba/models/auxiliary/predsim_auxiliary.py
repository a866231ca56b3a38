# Copyright (c) mmfba authors.
from typing import Any, Dict, Sequence, Tuple

import torch.nn.functional as F
from torch import Tensor, nn

from mmfba.local import FeatureBank
from mmfba.local.precision import at_least_float32, no_autocast
from mmfba.registry import MODELS

from ..neck_probe import run_without_data
from .auxiliary_network import AuxiliaryNetwork
from .heads.classifier import (
    build_classifier,
    check_one_task,
    class_scores,
    classifier_losses,
)
from .initialization import init_cfg_like
from .unit_spec import UnitSpec

BETA = 0.99
"""Weight of similarity matching in the paper."""


@MODELS.register_module()
class PredSimAuxiliary(AuxiliaryNetwork):
    r"""Prediction and similarity matching.

    .. math::
        L_i = \beta\,\lVert S(g(x)) - S(y)\rVert^2
        + (1-\beta)\,\mathrm{CE}\big(W\,\mathrm{pool}(x) + b,\; y\big)

    `Training Neural Networks with Local Error Signals
    <https://arxiv.org/abs/1901.06656>`_. g is a 3x3 conv, y is one-hot (with
    several labels 1 at each of them, with Mixup the mixed scores),
    :math:`\lVert\cdot\rVert^2` the mean over all pairs of images, and S the
    cosine similarity of the images' descriptors, see
    :func:`similarity_matrix`. Pooling leaves at most ``dim_in_decoder``
    values.

    Note:
        S compares the images of one process: with several, the loss is not
        that of one process with the whole batch.

    Args:
        spec (UnitSpec): The cut.
        input_shape (Sequence[int]): Height and width of the network's input
            in training, which the size of W follows from.
        dim_in_decoder (int): 512 in AugLocal's comparison, 2048 in the
            authors' recipes.
    """

    def __init__(
        self,
        spec: UnitSpec,
        input_shape: Sequence[int],
        dim_in_decoder: int,
    ) -> None:
        super().__init__(init_cfg_like(spec.main.backbone))
        channels = spec.cut.channels
        _check(input_shape, dim_in_decoder, channels)
        size = tuple(-(-side // spec.cut.stride) for side in input_shape)
        self.size = size
        kernel = pool_kernel(channels, size, dim_in_decoder)
        self.pool = nn.AvgPool2d(
            kernel,
            # A kernel that does not divide the side sees zeros around it.
            padding=tuple(k // 2 * (s % k > 0) for k, s in zip(kernel, size)),
        )
        self.similarity = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        length = channels
        for k, s in zip(kernel, size):
            length *= -(-s // k)
        self.head = build_classifier(spec, length)
        check_one_task(spec, 'auxiliary.type=mmfba.PredSimAuxiliary')
        ((_, self.num_classes),) = run_without_data(self.head, [(2, length)])

    def loss(
        self, x: Tensor, bank: FeatureBank, data_samples: Any
    ) -> Dict[str, Any]:
        if x.shape[2:] != self.size:
            raise ValueError(
                'auxiliary.input_shape: it promised a map of '
                f'{self.size} at the cut, which is {tuple(x.shape[2:])}: set '
                "it to the height and width of the network's input"
            )
        features = self.similarity(x)
        scores = class_scores(data_samples, self.num_classes)
        with no_autocast(x.device.type):
            features = at_least_float32(features)
            similarity = F.mse_loss(
                similarity_matrix(features),
                similarity_matrix(scores.to(features)),
            )
        pooled = self.pool(x).flatten(1)
        return dict(
            loss_sim=BETA * similarity,
            **classifier_losses(self.head, pooled, data_samples, 1 - BETA),
        )


def similarity_matrix(x: Tensor) -> Tensor:
    """Cosine similarity of all pairs of N images, (N, N), from -1 to 1.

    A map (N, C, H, W) is described by the standard deviation of each channel
    over its pixels, or by all its values if it has at most three channels or
    one row. The mean of the descriptor, or vector, is subtracted.
    """
    if x.dim() == 4 and x.shape[1] > 3 and x.shape[2] > 1:
        x = x.flatten(2).std(dim=2)
    x = x.flatten(1)
    x = x - x.mean(dim=1, keepdim=True)
    x = x / (x.norm(dim=1, keepdim=True) + 1e-8)
    return (x @ x.T).clamp(-1, 1)


def pool_kernel(
    channels: int, size: Tuple[int, int], dim_in_decoder: int
) -> Tuple[int, int]:
    """Double height and width of the pooling kernel in turn until at most
    ``dim_in_decoder`` values of a map are left."""
    kernel, axis = [1, 1], 0
    while (
        channels * -(-size[0] // kernel[0]) * -(-size[1] // kernel[1])
        > dim_in_decoder
    ):
        kernel[axis] *= 2
        axis = 1 - axis
    return tuple(kernel)


def _check(
    input_shape: Sequence[int],
    dim_in_decoder: int,
    channels: int,
) -> None:
    pair = isinstance(input_shape, (list, tuple)) and len(input_shape) == 2
    if not pair or min(input_shape) < 1:
        raise ValueError(
            f'auxiliary.input_shape={input_shape!r}: expected (height, width)'
        )
    if dim_in_decoder < channels:
        raise ValueError(
            f'auxiliary.dim_in_decoder={dim_in_decoder!r}: expected at least '
            f'{channels}, the channels at the cut'
        )
