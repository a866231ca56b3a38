# Copyright (c) mmfba authors.
from typing import Sequence, Tuple

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule, ModuleList
from torch import Tensor, nn

from mmfba.local import POOLED

from ...choices import check_choice
from ..unit_spec import UnitSpec

OPERATORS = ('add', 'concat', 'gate', 'none')


class Fusion(BaseModule):
    r"""Light fusion :math:`\oplus` of a feature with the bank (S1 eq. 3).

    The paper leaves the operator open:

    - ``add``: :math:`x + \sum_i p_i(b_i)`
    - ``concat``: :math:`p([x, b_1, b_2, \dots])`
    - ``gate``: :math:`x + \sum_i \sigma(g_i([x, p_i(b_i)])) \cdot p_i(b_i)`
    - ``none``: the bank is not read.

    :math:`p` and :math:`g` are 1x1 convs (linear layers for vectors);
    :math:`p_i` is the identity where the channels agree. Pooled vectors are
    layer-normalised first and divided by their number: there is one for each
    earlier module, and their sum would outweigh x.
    Maps of another size are pooled or enlarged to that of x.

    Args:
        operator (str): One of the above.
        channels (int): Channels of x and of the result.
        bank_channels (Sequence[int]): Channels of each bank entry.
        pooled (bool): Whether all are vectors (N, C) instead of maps
            (N, C, H, W).
    """

    def __init__(
        self,
        operator: str,
        channels: int,
        bank_channels: Sequence[int],
        pooled: bool,
    ) -> None:
        super().__init__()
        check_choice('auxiliary.neck.fusion', operator, OPERATORS)
        layer = nn.Linear if pooled else _conv1x1
        self.operator = operator
        self.pooled = pooled
        self.norms = ModuleList(
            nn.LayerNorm(c) if pooled else nn.Identity() for c in bank_channels
        )
        if operator == 'concat' and bank_channels:
            self.project = layer(channels + sum(bank_channels), channels)
        if operator in ('add', 'gate'):
            self.projects = ModuleList(
                nn.Identity() if c == channels else layer(c, channels)
                for c in bank_channels
            )
        if operator == 'gate':
            self.gates = ModuleList(
                layer(2 * channels, channels) for _ in bank_channels
            )

    def forward(self, x: Tensor, entries: Sequence[Tensor]) -> Tensor:
        """Fuse x, (N, C) or (N, C, H, W), with bank entries in the order of
        ``bank_channels``; the result has the shape of x."""
        if self.operator == 'none' or not entries:
            return x
        entries = [
            norm(b) / len(entries) if self.pooled else _resize(b, x)
            for norm, b in zip(self.norms, entries)
        ]
        if self.operator == 'concat':
            return self.project(torch.cat([x, *entries], dim=1))
        entries = [project(b) for project, b in zip(self.projects, entries)]
        if self.operator == 'gate':
            entries = [
                gate(torch.cat([x, b], dim=1)).sigmoid() * b
                for gate, b in zip(self.gates, entries)
            ]
        return x + sum(entries)


def readable_entries(spec: UnitSpec, pooled: bool) -> Tuple[str, ...]:
    """Bank entries that a neck can fuse: pooled vectors, or else maps."""
    for name in spec.readable:
        if name.endswith(POOLED) != pooled:
            other = name + POOLED if pooled else name.removesuffix(POOLED)
            raise ValueError(
                f'taps: {name!r} cannot be fused with what this '
                f'neck returns: tap {other!r}'
            )
    return spec.readable


def _conv1x1(in_channels: int, out_channels: int) -> nn.Module:
    return nn.Conv2d(in_channels, out_channels, 1)


def _resize(entry: Tensor, like: Tensor) -> Tensor:
    size = like.shape[-2:]
    if entry.shape[-2:] == size:
        return entry
    if entry.shape[-2:].numel() > size.numel():
        return F.adaptive_avg_pool2d(entry, size)
    return F.interpolate(entry, size=size, mode='nearest')
