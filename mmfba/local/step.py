# Copyright (c) mmfba authors.
from dataclasses import dataclass
from typing import Any, Iterator, Sequence

from torch import nn

from .chain import Chain
from .partition import Ranges


@dataclass(frozen=True)
class Step:
    """What one training step is computed with; it lives as long as the step.

    Args:
        model (nn.Module): The whole model. ``model.main_loss(features,
            targets)`` maps what the backbone returns to the losses of the
            plain network; ``model.image_wise_loss(targets)`` returns the same
            as a function of some images' features and their slice, see
            :class:`ImageWise`.
        chain (Chain): The backbone's chain.
        auxiliaries (Sequence[nn.Module]): The auxiliary network of each local
            module but the last.
        targets (Any): What all losses are computed from.
    """

    model: nn.Module
    chain: Chain
    auxiliaries: Sequence[nn.Module]
    targets: Any

    def parameters_before(self, modules: Ranges) -> Iterator[nn.Parameter]:
        """Trained parameters of all local modules but the last."""
        first, stop = modules[0][0], modules[-1][0]
        for part in [*self.chain.units[first:stop], *self.auxiliaries]:
            yield from (p for p in part.parameters() if p.requires_grad)
