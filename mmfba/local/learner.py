# Copyright (c) mmfba authors.
from contextlib import contextmanager
from functools import partial
from typing import Any, Callable, Dict, Iterator, Optional, Sequence, Tuple

import torch
from torch import Tensor

from .chain import INPUT, Chain, Unit
from .chunked import Features, ImageWise, backward_by_chunks
from .feature_bank import FeatureBank
from .losses import (
    in_many_processes,
    log_values,
    reach_with_zero_gradient,
    sum_losses,
    weigh_losses,
)
from .recompute import forward_recomputed
from .statistics import frozen_statistics
from .step import Step

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
        chunk (int, optional): Images that neck and head of a module, and of
            the auxiliary networks, see at a time, see
            :func:`backward_by_chunks`. It has no effect on
            ``'summed'``. Defaults to None, the whole batch.
        checkpoint (Sequence[int]): Indices of the local modules whose units
            are run again in the backward instead of keeping what they
            computed, see :func:`forward_recomputed`. Defaults to ().
    """

    def __init__(
        self,
        modules: Sequence[Tuple[int, int]],
        last_reader: Dict[str, int],
        *,
        backward: str = 'immediate',
        timing: str = 'causal',
        loss_weights: Sequence[float] = (),
        chunk: Optional[int] = None,
        checkpoint: Sequence[int] = (),
    ) -> None:
        self.modules = tuple(modules)
        self.bank = FeatureBank(last_reader)
        self.backward = backward
        self.timing = timing
        self.loss_weights = tuple(loss_weights)
        self.chunk = chunk
        self.checkpoint = tuple(checkpoint)
        self.peak_bank_bytes = 0
        self.on_module: Optional[Callable[[str], None]] = None
        self._local_backward: Optional[Callable[[Tensor], None]] = None
        self._module_done: Optional[Callable[[], None]] = None
        self._isolation_checked = False

    @property
    def num_modules(self) -> int:
        """int: K, the number of trained local modules."""
        return len(self.modules)

    @property
    def needs_backward(self) -> bool:
        """bool: Whether :meth:`run` itself calls backward."""
        several = self.num_modules > 1 or self.chunk is not None
        return self.backward == 'immediate' and several

    @contextmanager
    def lend_backward(
        self,
        backward: Callable[[Tensor], None],
        module_done: Optional[Callable[[], None]] = None,
    ) -> Iterator[None]:
        """Use ``backward`` for the local losses inside the context.

        Args:
            backward (Callable): Takes a scalar loss, scales it as the
                optimizer wrapper would and calls backward.
            module_done (Callable, optional): Called when a local module but
                the last has all its gradients. Defaults to None.
        """
        self._local_backward = backward
        self._module_done = module_done
        try:
            yield
        finally:
            self._local_backward = self._module_done = None

    def run(self, step: Step, inputs: Tensor) -> Dict[str, Any]:
        """One forward of a training step, local backwards included.

        Args:
            step (Step): What is trained, and the targets.
            inputs (Tensor): Images of shape (N, C, H, W).

        Returns:
            dict: The losses of the main head, to be summed and propagated by
            the caller, and the local losses: detached and under keys without
            the word "loss" where their backward has run already.
        """
        chain, logs = step.chain, {}
        last = self.num_modules - 1
        self.peak_bank_bytes = 0
        with self.bank.step() as bank:
            if self.timing == 'two_pass':
                self._fill_bank(chain, inputs)
            bank.put(INPUT, inputs)
            with torch.no_grad():
                prefix = chain.units[: self.modules[0][0]]
                x = self._forward(prefix, inputs)
            for index, (start, stop) in enumerate(self.modules):
                if self.on_module:
                    self.on_module(str(index))
                x = self._forward(
                    chain.units[start:stop], x, index in self.checkpoint
                )
                self.peak_bank_bytes = max(self.peak_bank_bytes, bank.nbytes)
                if index < last:
                    logs.update(self._learn(step, index, x))
                    x = x.detach()
                    bank.cut(index)
                    if self._module_done and self.backward == 'immediate':
                        self._module_done()
            outputs = {
                name: bank.get(name) if name in bank.read_names else None
                for name in chain.outputs
            }
            losses = self._main_losses(step, outputs)
        self._isolation_checked = True
        return {**losses, **logs}

    def _forward(
        self, units: Sequence[Unit], x: Tensor, recompute: bool = False
    ) -> Tensor:
        for unit in units:
            x = forward_recomputed(unit, x) if recompute else unit.forward(x)
            self.bank.put(unit.name, x)
        return x

    def _fill_bank(self, chain: Chain, inputs: Tensor) -> None:
        devices = [inputs.device] if inputs.is_cuda else []
        with (
            torch.no_grad(),
            torch.random.fork_rng(devices),
            frozen_statistics(m for u in chain.units for m in u.modules),
        ):
            self._forward(chain.units, inputs)

    def _learn(self, step: Step, index: int, x: Tensor) -> Dict[str, Any]:
        """The local loss of module ``index``, and its backward."""
        auxiliary, weight = step.auxiliaries[index], self.loss_weights[index]
        if self._by_chunks:
            part = auxiliary.image_wise(x, self.bank, step.targets)
            losses = self._chunked_losses(step, index, part, weight)
            return log_values(losses, prefix=f'aux{index}/')
        losses = auxiliary.loss(x, self.bank, step.targets)
        losses = weigh_losses(losses, weight)
        self._check_isolation(step, index, [sum_losses(losses)])
        if self.backward == 'summed':
            return {f'aux{index}/{name}': v for name, v in losses.items()}
        self._backward(sum_losses(losses))
        return log_values(losses, prefix=f'aux{index}/')

    def _main_losses(
        self, step: Step, outputs: Dict[str, Optional[Tensor]]
    ) -> Dict[str, Any]:
        """Losses of the main head, as the caller is to propagate them."""
        last, finish = self.num_modules - 1, step.chain.finish
        if self._by_chunks:
            main_loss = step.model.image_wise_loss(step.targets)

            def loss(features: Features, rows: slice) -> Dict[str, Any]:
                return main_loss(finish(dict(zip(outputs, features))), rows)

            part = ImageWise(tuple(outputs.values()), loss)
            losses = self._chunked_losses(step, last, part, 1.0)
        else:
            losses = step.model.main_loss(finish(outputs), step.targets)
            self._check_isolation(step, last, [sum_losses(losses)])
        if not self.needs_backward:
            return losses
        before = list(step.parameters_before(self.modules))
        own = step.other_parameters(before) if self._by_chunks else []
        if in_many_processes():
            return reach_with_zero_gradient(losses, [*before, *own])
        # What is returned must have a graph, at least a small one.
        smallest = sorted(own, key=Tensor.numel)[:1]
        return reach_with_zero_gradient(losses, smallest)

    @property
    def _by_chunks(self) -> bool:
        return self.chunk is not None and self.backward == 'immediate'

    def _chunked_losses(
        self, step: Step, index: int, part: ImageWise, weight: float
    ) -> Dict[str, Tensor]:
        def loss(features: Features, rows: slice) -> Dict[str, Any]:
            return weigh_losses(part.loss(features, rows), weight)

        return backward_by_chunks(
            ImageWise(part.features, loss),
            self.chunk,
            self._backward,
            partial(self._check_isolation, step, index),
        )

    def _backward(self, loss: Tensor) -> None:
        (self._local_backward or Tensor.backward)(loss)

    def _check_isolation(
        self,
        step: Step,
        index: int,
        roots: Sequence[Tensor],
        leaves: Sequence[Tensor] = (),
    ) -> None:
        """Walk the graph of a loss once, at the first step."""
        if not self._isolation_checked:
            step.check_isolation(self.modules, index, roots, leaves)
