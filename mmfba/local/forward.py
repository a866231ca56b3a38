# Copyright (c) mmfba authors.
from typing import Sequence

import torch
from torch import Tensor

from .chain import Unit
from .feature_bank import FeatureBank
from .random_state import forked_random_state
from .recompute import forward_recomputed
from .statistics import frozen_statistics


def run_units(
    units: Sequence[Unit], x: Tensor, bank: FeatureBank, recompute: bool
) -> Tensor:
    """Run units and put what somebody reads into the bank.

    Args:
        units (Sequence[Unit]): The units, in order.
        x (Tensor): Input of the first, (N, C, H, W).
        bank (FeatureBank): This step's features.
        recompute (bool): Whether they run again in the backward instead of
            keeping what they computed.

    Returns:
        Tensor: Output of the last.
    """
    for unit in units:
        x = forward_recomputed(unit, x) if recompute else unit.forward(x)
        bank.put(unit.name, x)
    return x


def fill_bank(
    units: Sequence[Unit], inputs: Tensor, bank: FeatureBank
) -> None:
    """The same without gradients and without a trace in running statistics
    and random state: the first of two passes."""
    with (
        torch.no_grad(),
        forked_random_state(),
        frozen_statistics(m for u in units for m in u.modules),
    ):
        run_units(units, inputs, bank, recompute=False)
    # Before PyTorch 2.11 autocast hands on its copies of the weights, which
    # have no graph: the convolutions that run next would get no gradient.
    torch.clear_autocast_cache()
