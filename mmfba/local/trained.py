# Copyright (c) mmfba authors.
from dataclasses import dataclass, field
from typing import Any, Callable, FrozenSet, List, Mapping, Sequence

from torch import Tensor, nn

from .isolation import check_isolation


@dataclass(frozen=True)
class Trained:
    """What one training step trains; it lives as long as the step.

    Args:
        model (nn.Module): The whole model.
        network (nn.Module): What is cut: its backbone or generator.
        owned (Sequence[frozenset[str]]): Names of the network's parameters
            that each local module but the last trains.
        auxiliaries (Sequence[nn.Module]): Their auxiliary networks.
        targets (Any): What all losses are computed from.
        forwards (Mapping[nn.Module, Callable]): Modules of the network that
            run another forward, to the same effect, in this step. Defaults to
            {}.
    """

    model: nn.Module
    network: nn.Module
    owned: Sequence[FrozenSet[str]]
    auxiliaries: Sequence[nn.Module]
    targets: Any
    forwards: Mapping[nn.Module, Callable[..., Any]] = field(
        default_factory=dict
    )

    def parameters(self, index: int) -> List[nn.Parameter]:
        """Trained parameters of a local module but the last, and of its
        auxiliary network."""
        every = [*self._own(index), *self.auxiliaries[index].parameters()]
        return [p for p in dict.fromkeys(every) if p.requires_grad]

    @property
    def early(self) -> List[nn.Parameter]:
        """list[nn.Parameter]: Those of all of these modules."""
        modules = range(len(self.owned))
        return [p for index in modules for p in self.parameters(index)]

    @property
    def late(self) -> List[nn.Parameter]:
        """list[nn.Parameter]: Those that learn from the main loss."""
        early = set(self.early)
        parameters = self.model.parameters()
        return [p for p in parameters if p.requires_grad and p not in early]

    @property
    def smallest_late(self) -> nn.Parameter:
        """nn.Parameter: The smallest of them."""
        return min(self.late, key=Tensor.numel)

    def check_isolation(
        self,
        index: int,
        roots: Sequence[Tensor],
        leaves: Sequence[Tensor] = (),
    ) -> None:
        """Check that the loss of module ``index`` trains it and no other.

        The last module's loss may reach all but what other modules train; all
        may reach ``leaves``. See :func:`check_isolation`.
        """
        names = {p: name for name, p in self.model.named_parameters()}
        if index == len(self.owned):
            allowed = set(names).difference(self.early)
            own = allowed.intersection(self.network.parameters())
        else:
            auxiliary, own = self.auxiliaries[index], set(self._own(index))
            parts = [auxiliary, *auxiliary.shared_modules]
            allowed = own.union(*(part.parameters() for part in parts))
        check_isolation(index, roots, own, allowed.union(leaves), names)

    def _own(self, index: int) -> List[nn.Parameter]:
        # In the network's order: all processes reduce them in the same one,
        # and that of a set of names is another in each.
        owned = self.owned[index]
        named = self.network.named_parameters()
        return [p for name, p in named if name in owned]
