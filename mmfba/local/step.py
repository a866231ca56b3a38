# Copyright (c) mmfba authors.
from dataclasses import dataclass
from typing import Any, Dict, Iterator, List, Sequence

from torch import Tensor, nn

from .chain import Chain
from .isolation import check_isolation
from .losses import reach_with_zero_gradient
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
        for index in range(len(modules) - 1):
            yield from self.trained(modules, index)

    def trained(self, modules: Ranges, index: int) -> List[nn.Parameter]:
        """Trained parameters of one of them and its auxiliary network."""
        units = self.chain.units[slice(*modules[index])]
        parts = [*units, self.auxiliaries[index]]
        every = [p for part in parts for p in part.parameters()]
        return [p for p in dict.fromkeys(every) if p.requires_grad]

    def other_parameters(
        self, parameters: Sequence[nn.Parameter]
    ) -> List[nn.Parameter]:
        """Trained parameters of the model that are not among these."""
        known = set(parameters)
        return [
            p
            for p in self.model.parameters()
            if p.requires_grad and p not in known
        ]

    def touch(
        self,
        losses: Dict[str, Any],
        modules: Ranges,
        chunked: bool,
        by_ddp: bool,
    ) -> Dict[str, Any]:
        """Give the returned losses a graph that reaches what it must.

        Args:
            losses (dict): Losses of the last module.
            modules (list[tuple[int, int]]): The local modules.
            chunked (bool): Whether their own backward has run already.
            by_ddp (bool): Whether DistributedDataParallel averages the
                gradients.

        Returns:
            dict: The same values. For DistributedDataParallel they reach,
            with gradient zero, all that was trained by a local backward.
        """
        before = list(self.parameters_before(modules))
        own = self.other_parameters(before) if chunked else []
        if by_ddp:
            return reach_with_zero_gradient(losses, [*before, *own])
        # What is returned must have a graph, at least a small one.
        smallest = sorted(own, key=Tensor.numel)[:1]
        return reach_with_zero_gradient(losses, smallest)

    def check_isolation(
        self,
        modules: Ranges,
        index: int,
        roots: Sequence[Tensor],
        leaves: Sequence[Tensor] = (),
    ) -> None:
        """Check that the loss of module ``index`` trains it and no other.

        The last module's loss may reach all but what other modules train.

        Args:
            modules (list[tuple[int, int]]): The local modules.
            index (int): The module.
            roots (Sequence[Tensor]): What its backward starts from.
            leaves (Sequence[Tensor]): What else it may reach. Defaults to ().

        Raises:
            RuntimeError: See :func:`check_isolation`.
        """
        names = {p: name for name, p in self.model.named_parameters()}
        start, stop = modules[index]
        units = self.chain.units[start:stop]
        own = {p for unit in units for p in unit.parameters()}
        if index == len(modules) - 1:
            allowed = set(names) - set(self.parameters_before(modules))
        else:
            aux = self.auxiliaries[index]
            shared = [p for m in aux.shared_modules for p in m.parameters()]
            allowed = own.union(aux.parameters(), shared)
        check_isolation(index, roots, own, allowed.union(leaves), names)
