# Copyright (c) mmfba authors.
from typing import Any, Sequence

import torch
from torch.utils.flop_counter import FlopCounterMode, conv_flop_count


def flop_counter() -> FlopCounterMode:
    """A context that counts floating point operations; convolutions with
    groups are counted as they are computed.

    PyTorch's own formula takes the gradient of a grouped convolution's
    weights for one between all channels: for a depthwise convolution of C
    channels that is C times too much.
    """
    mapping = {torch.ops.aten.convolution_backward: _conv_backward}
    return FlopCounterMode(display=False, custom_mapping=mapping)


def _conv_backward(
    grad_out: Sequence[int],
    x: Sequence[int],
    weight: Sequence[int],
    *args: Any,
    **kwargs: Any,
) -> int:
    """Each gradient, of the input or the weights, costs what the forward
    does: it multiplies the same pairs."""
    transposed, output_mask = args[4], args[7]
    forward = conv_flop_count(x, weight, grad_out, transposed)
    return forward * sum(output_mask[:2])
