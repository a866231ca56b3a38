# Copyright (c) mmfba authors.
"""A stem that keeps nothing but its input and output."""

from typing import Any, Iterator, Optional, Tuple

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from .precision import no_autocast

Modules = Tuple[nn.Conv2d, _BatchNorm, nn.Module, nn.Module]


def lean_stem(modules: Modules, x: Tensor) -> Tensor:
    """Convolution, batch normalisation, ReLU and max pooling, image by image.

    The stem works at the highest resolution, so that what it keeps is much of
    a small network's memory. Here the convolution runs again image by image:
    once for the statistics of the batch, once for the output, and twice in the
    backward. Output and gradients are those of the modules up to the order of
    sums; running statistics move once. Under autocast all is computed in the
    type of the weights, in the backward too.

    Args:
        modules (tuple[nn.Module]): Convolution, normalisation, ReLU, pooling.
        x (Tensor): Images (N, C, H, W), which need no gradient.
    """
    conv, norm, _, pool = modules
    # The function's own backward would not be cast automatically.
    with no_autocast(x.device.type):
        x = x.to(conv.weight.dtype)
        if norm.training:
            mean, var, count = _batch_statistics(conv, x)
            _move_statistics(norm, mean, var, count)
        else:
            mean, var = norm.running_mean, norm.running_var
        return _LeanStem.apply(
            x, conv.weight, norm.weight, norm.bias, mean, var, conv, norm, pool
        )


def check_lean_stem(modules: Tuple[nn.Module, ...]) -> None:
    """Refuse a stem of other parts or with other padding."""
    kinds = (nn.Conv2d, nn.BatchNorm2d, nn.ReLU, nn.MaxPool2d)
    names = [type(m).__name__ for m in modules]
    fits = len(modules) == 4 and all(map(isinstance, modules, kinds))
    # A subclass may convolve with something else than its weight.
    fits = fits and type(modules[0]) is nn.Conv2d
    if not fits or modules[0].bias is not None or not modules[1].affine:
        raise ValueError(
            f'local_learning.lean_stem: the stem is {names}; expected a '
            'Conv2d without bias, BatchNorm2d, ReLU and MaxPool2d: leave '
            'lean_stem out, local_learning.checkpoint=[0] recomputes any stem'
        )
    conv = modules[0]
    # The gradient of its weight is that of zero padding in pixels.
    if conv.padding_mode != 'zeros' or isinstance(conv.padding, str):
        raise ValueError(
            'local_learning.lean_stem: the convolution of the stem has '
            f'padding={conv.padding!r}, padding_mode={conv.padding_mode!r}; '
            "expected pixels of padding_mode='zeros': leave lean_stem out, "
            'local_learning.checkpoint=[0] recomputes any stem'
        )


class _LeanStem(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        gamma: Tensor,
        beta: Tensor,
        mean: Tensor,
        var: Tensor,
        conv: nn.Conv2d,
        norm: _BatchNorm,
        pool: nn.MaxPool2d,
    ) -> Tensor:
        scale = (var + norm.eps).rsqrt()
        ctx.save_for_backward(x, weight, gamma, beta, mean, scale)
        ctx.conv, ctx.pool, ctx.training = conv, pool, norm.training
        pieces = []
        for image in x.split(1):
            y = _normalised(_conv(conv, image), mean, scale)
            y = y.mul_(_channels(gamma)).add_(_channels(beta)).relu_()
            pieces.append(_pool(pool, y))
        return torch.cat(pieces)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tuple[Optional[Tensor], ...]:
        with no_autocast(grad.device.type):  # as in the forward
            return _LeanStem._gradients(ctx, grad)

    @staticmethod
    def _gradients(ctx: Any, grad: Tensor) -> Tuple[Optional[Tensor], ...]:
        x, weight, gamma, beta, mean, scale = ctx.saved_tensors
        conv, pool = ctx.conv, ctx.pool

        def recomputed() -> Iterator[Tuple[Tensor, Tensor, Tensor]]:
            """Image, normalised map, and gradient behind the ReLU's input."""
            for image, piece in zip(x.split(1), grad.split(1)):
                y = _normalised(_conv(conv, image), mean, scale)
                with torch.enable_grad():
                    z = y * _channels(gamma) + _channels(beta)
                    z = z.detach_().requires_grad_()
                    out = _pool(pool, z.relu())
                (slope,) = torch.autograd.grad(out, z, piece)
                yield image, y, slope

        d_gamma, d_beta = torch.zeros_like(gamma), torch.zeros_like(beta)
        count = 0
        for _, y, slope in recomputed():
            d_gamma += (slope * y).sum((0, 2, 3))
            d_beta += slope.sum((0, 2, 3))
            count += slope[:, 0].numel()
        d_weight = torch.zeros_like(weight)
        for image, y, slope in recomputed():
            if ctx.training:
                slope = slope.sub_(_channels(d_beta / count))
                slope = slope.sub_(y.mul_(_channels(d_gamma / count)))
            slope = slope.mul_(_channels(gamma * scale))
            d_weight += torch.nn.grad.conv2d_weight(
                image,
                weight.shape,
                slope,
                conv.stride,
                conv.padding,
                conv.dilation,
                conv.groups,
            )
        return (None, d_weight, d_gamma, d_beta, *[None] * 5)


def _conv(conv: nn.Conv2d, image: Tensor) -> Tensor:
    # By its class: in a training step its own forward may be this stem's.
    return nn.Conv2d.forward(conv, image)


def _pool(pool: nn.MaxPool2d, x: Tensor) -> Tensor:
    return nn.MaxPool2d.forward(pool, x)


def _normalised(y: Tensor, mean: Tensor, scale: Tensor) -> Tensor:
    return y.sub_(_channels(mean)).mul_(_channels(scale))


def _channels(vector: Tensor) -> Tensor:
    return vector[None, :, None, None]


@torch.no_grad()
def _batch_statistics(
    conv: nn.Conv2d, x: Tensor
) -> Tuple[Tensor, Tensor, int]:
    """Mean and biased variance over the batch, from those of each image, and
    the number of values of a channel."""
    parts, count = [], 0
    for image in x.split(1):
        y = _conv(conv, image)
        parts.append(torch.var_mean(y, (0, 2, 3), correction=0))
        count += y[:, 0].numel()
    variances, means = (torch.stack(part) for part in zip(*parts))
    mean = means.mean(0)
    return mean, (variances + (means - mean) ** 2).mean(0), count


@torch.no_grad()
def _move_statistics(
    norm: _BatchNorm, mean: Tensor, var: Tensor, count: int
) -> None:
    if not norm.track_running_stats:
        return
    norm.num_batches_tracked += 1
    factor = norm.momentum
    if factor is None:  # the mean over all batches
        factor = 1 / float(norm.num_batches_tracked)
    norm.running_mean.lerp_(mean, factor)
    norm.running_var.lerp_(var * (count / (count - 1)), factor)
