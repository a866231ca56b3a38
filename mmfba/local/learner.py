# Copyright (c) mmfba authors.
from contextlib import contextmanager
from typing import Any, Callable, Dict, Iterator, Optional, Sequence, Tuple

import torch
from torch import Tensor, nn

from .chain import INPUT, Chain
from .feature_bank import FeatureBank
from .isolation import check_isolation
from .losses import (
    log_values,
    reach_with_zero_gradient,
    sum_losses,
    weigh_losses,
)
from .two_pass import frozen_statistics

BACKWARDS = ('immediate', 'summed')
TIMINGS = ('causal', 'two_pass')


class LocalLearner:
    r"""Runs a chain module by module, each trained by its own loss.

    Local module :math:`j` with parameters :math:`\theta_j` and its auxiliary
    network with parameters :math:`\gamma_j` follow the gradient of their own
    loss alone (S1 eq. 1). Its backward runs before the next module starts,
    which frees the module's activations.

    The learner holds no reference to any module: what it runs is handed to
    :meth:`run`. A copy of it is therefore independent.

    Args:
        modules (Sequence[tuple[int, int]]): Ranges of unit indices of the
            local modules. Units before the first are a frozen prefix.
        last_reader (Mapping[str, int]): See :class:`FeatureBank`.
        backward (str): ``'immediate'`` runs the backward of each local loss
            at once. ``'summed'`` returns the local losses to be summed by the
            caller: same gradients, no memory saved. Defaults to
            ``'immediate'``.
        timing (str): When the bank is filled: ``'causal'`` by the units as
            they run, ``'two_pass'`` by a forward without gradients before
            them. Defaults to ``'causal'``.
        loss_weights (Sequence[float]): Weight of each local loss.
    """

    def __init__(
        self,
        modules: Sequence[Tuple[int, int]],
        last_reader: Dict[str, int],
        *,
        backward: str = 'immediate',
        timing: str = 'causal',
        loss_weights: Sequence[float] = (),
    ) -> None:
        self.modules = tuple(modules)
        self.bank = FeatureBank(last_reader)
        self.backward = backward
        self.timing = timing
        self.loss_weights = tuple(loss_weights)
        self.peak_bank_bytes = 0
        self.on_module: Optional[Callable[[str], None]] = None
        self._local_backward: Optional[Callable[[Tensor], None]] = None
        self._isolation_checked = False

    @property
    def num_modules(self) -> int:
        """int: K, the number of trained local modules."""
        return len(self.modules)

    @property
    def needs_backward(self) -> bool:
        """bool: Whether :meth:`run` itself calls backward."""
        return self.backward == 'immediate' and self.num_modules > 1

    @contextmanager
    def lend_backward(
        self, backward: Callable[[Tensor], None]
    ) -> Iterator[None]:
        """Use ``backward`` for the local losses inside the context.

        Args:
            backward (Callable): Takes a scalar loss, scales it as the
                optimizer wrapper would and calls backward.
        """
        self._local_backward = backward
        try:
            yield
        finally:
            self._local_backward = None

    def run(
        self,
        model: nn.Module,
        chain: Chain,
        inputs: Tensor,
        auxiliaries: Sequence[nn.Module],
        targets: Any,
        main_loss: Callable[[Any], Dict[str, Any]],
    ) -> Dict[str, Any]:
        """One forward of a training step, local backwards included.

        Args:
            model (nn.Module): The whole model, to name its parameters.
            chain (Chain): The backbone's chain.
            inputs (Tensor): Images of shape (N, C, H, W).
            auxiliaries (Sequence[nn.Module]): The auxiliary network of each
                module but the last.
            targets (Any): What the auxiliary losses are computed from.
            main_loss (Callable): Maps the backbone's output to the losses of
                the plain network.

        Returns:
            dict: The losses of the main head, to be summed and propagated by
            the caller, and the local losses: detached and under keys without
            the word "loss" where their backward has run already.
        """
        logs = {}
        last = self.num_modules - 1
        self.peak_bank_bytes = 0
        with self.bank.step() as bank:
            if self.timing == 'two_pass':
                self._fill_bank(chain, inputs)
            bank.put(INPUT, inputs)
            with torch.no_grad():
                x = self._forward(chain, 0, self.modules[0][0], inputs)
            for index, (start, stop) in enumerate(self.modules):
                if self.on_module:
                    self.on_module(str(index))
                x = self._forward(chain, start, stop, x)
                self.peak_bank_bytes = max(self.peak_bank_bytes, bank.nbytes)
                if index < last:
                    losses = auxiliaries[index].loss(x, bank, targets)
                    logs.update(
                        self._learn(model, chain, index, losses, auxiliaries)
                    )
                    del losses
                    x = x.detach()
                    bank.cut(index)
            outputs = {
                name: bank.get(name) if name in bank.read_names else None
                for name in chain.outputs
            }
            losses = main_loss(chain.finish(outputs))
            del outputs
        self._check_isolation(model, chain, last, losses, auxiliaries)
        self._isolation_checked = True
        if self.needs_backward and _in_many_processes():
            losses = reach_with_zero_gradient(
                losses, self._local_parameters(chain, auxiliaries)
            )
        return {**losses, **logs}

    def _forward(
        self, chain: Chain, start: int, stop: int, x: Tensor
    ) -> Tensor:
        for unit in chain.units[start:stop]:
            x = unit.forward(x)
            self.bank.put(unit.name, x)
        return x

    def _fill_bank(self, chain: Chain, inputs: Tensor) -> None:
        with torch.no_grad(), frozen_statistics(chain, inputs.device):
            self._forward(chain, 0, len(chain.units), inputs)

    def _learn(
        self,
        model: nn.Module,
        chain: Chain,
        index: int,
        losses: Dict[str, Any],
        auxiliaries: Sequence[nn.Module],
    ) -> Dict[str, Any]:
        losses = weigh_losses(losses, self.loss_weights[index])
        self._check_isolation(model, chain, index, losses, auxiliaries)
        if self.backward == 'summed':
            return {f'aux{index}/{name}': v for name, v in losses.items()}
        backward = self._local_backward or Tensor.backward
        backward(sum_losses(losses))
        return log_values(losses, prefix=f'aux{index}/')

    def _check_isolation(
        self,
        model: nn.Module,
        chain: Chain,
        index: int,
        losses: Dict[str, Any],
        auxiliaries: Sequence[nn.Module],
    ) -> None:
        """Walk the graph of module ``index``'s loss once, at the first step.

        The last module's loss may reach all but what other modules train.
        """
        if self._isolation_checked:
            return
        names = {p: name for name, p in model.named_parameters()}
        start, stop = self.modules[index]
        own = {p for u in chain.units[start:stop] for p in u.parameters()}
        if index == self.num_modules - 1:
            allowed = set(names) - set(
                self._local_parameters(chain, auxiliaries)
            )
        else:
            aux = auxiliaries[index]
            shared = [p for m in aux.shared_modules for p in m.parameters()]
            allowed = own.union(aux.parameters(), shared)
        check_isolation(index, sum_losses(losses), own, allowed, names)

    def _local_parameters(
        self, chain: Chain, auxiliaries: Sequence[nn.Module]
    ) -> Iterator[nn.Parameter]:
        """Trained parameters of all modules but the last."""
        first, stop = self.modules[0][0], self.modules[-1][0]
        for part in [*chain.units[first:stop], *auxiliaries]:
            yield from (p for p in part.parameters() if p.requires_grad)


def _in_many_processes() -> bool:
    dist = torch.distributed
    return (
        dist.is_available()
        and dist.is_initialized()
        and dist.get_world_size() > 1
    )
