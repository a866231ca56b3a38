# Copyright (c) mmfba authors.
from functools import partial
from typing import Any, Callable, Dict, Optional, Sequence, Set, Tuple

import torch
from torch import Tensor

from .chain import INPUT
from .chunked import Features, ImageWise, backward_by_chunks
from .feature_bank import FeatureBank
from .forward import fill_bank, run_units
from .lending import Borrower, in_many_processes, is_constant_here
from .losses import log_values, sum_losses, weigh_losses
from .micro_batches import forward_by_micro_batches, part_of_batch
from .step import Step

BACKWARDS = ('immediate', 'summed')
TIMINGS = ('causal', 'two_pass')


class LocalLearner(Borrower):
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
        micro_batches (Sequence[int]): In how many micro-batches each module
            but the last runs, see :func:`forward_by_micro_batches`. It has no
            effect on ``'summed'``. Defaults to ().
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
        micro_batches: Sequence[int] = (),
    ) -> None:
        self.modules = tuple(modules)
        self.bank = FeatureBank(last_reader)
        self.backward = backward
        self.timing = timing
        self.loss_weights = tuple(loss_weights)
        self.chunk = chunk
        self.checkpoint = tuple(checkpoint)
        counts = micro_batches if backward == 'immediate' else ()
        self.micro_batches = {i: n for i, n in enumerate(counts) if n > 1}
        self.peak_bank_bytes = 0
        self.running = 0
        self.on_module: Optional[Callable[[str], None]] = None
        self._isolation_checked: Set[int] = set()

    @property
    def num_modules(self) -> int:
        """int: K, the number of trained local modules."""
        return len(self.modules)

    @property
    def needs_backward(self) -> bool:
        """bool: Whether :meth:`run` itself calls backward."""
        several = self.num_modules > 1 or self.chunk is not None
        return self.backward == 'immediate' and several

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
                fill_bank(chain.units, inputs, bank)
            bank.put(INPUT, inputs)
            with torch.no_grad():
                prefix = chain.units[: self.modules[0][0]]
                x = run_units(prefix, inputs, bank, recompute=False)
            for index in range(self.num_modules):
                self.running = index  # for who has to explain an error
                if self.on_module:
                    self.on_module(str(index))
                if index in self.micro_batches:
                    x, losses = self._by_micro_batches(step, index, x)
                else:
                    x = self._run(step, index, x, bank)
                    losses = self._learn(step, index, x)
                self.peak_bank_bytes = max(self.peak_bank_bytes, bank.nbytes)
                logs.update(losses)
                if index < last:
                    x = x.detach()
                    bank.cut(index)
                    if self.backward == 'immediate':
                        self._module_done(step.trained(self.modules, index))
            outputs = {
                name: bank.get(name) if name in bank.read_names else None
                for name in chain.outputs
            }
            losses = self._main_losses(step, outputs)
        return {**losses, **logs}

    def _run(
        self, step: Step, index: int, x: Tensor, bank: FeatureBank
    ) -> Tensor:
        units = step.chain.units[slice(*self.modules[index])]
        return run_units(units, x, bank, index in self.checkpoint)

    def _by_micro_batches(
        self, step: Step, index: int, x: Tensor
    ) -> Tuple[Tensor, Dict[str, Any]]:
        """Output and local loss of module ``index``, and its backward."""

        def run(images: Tensor, bank: FeatureBank, rows: slice):
            y = self._run(step, index, images, bank)
            return y, self._image_wise(step, index, y, bank, rows.start)

        count = self.micro_batches[index]
        x, losses = forward_by_micro_batches(x, count, self.bank, run)
        return x, log_values(losses, prefix=f'aux{index}/')

    def _learn(self, step: Step, index: int, x: Tensor) -> Dict[str, Any]:
        """The local loss of module ``index``, and its backward."""
        if index == self.num_modules - 1:
            return {}  # its loss is the main head's
        if self._by_chunks:
            losses = self._image_wise(step, index, x, self.bank)
            return log_values(losses, prefix=f'aux{index}/')
        losses = step.auxiliaries[index].loss(x, self.bank, step.targets)
        losses = weigh_losses(losses, self.loss_weights[index])
        self._check_isolation(step, index, [sum_losses(losses)])
        if self.backward == 'summed':
            return {f'aux{index}/{name}': v for name, v in losses.items()}
        self._backward(sum_losses(losses))
        return log_values(losses, prefix=f'aux{index}/')

    def _image_wise(
        self, step: Step, index: int, x: Tensor, bank: FeatureBank, start=0
    ) -> Dict[str, Tensor]:
        """The same for the images from ``start`` on, by chunks."""
        part = step.auxiliaries[index].image_wise(x, bank, step.targets)
        part = part_of_batch(part, start, self.loss_weights[index])
        return self._chunked_losses(step, index, part)

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
            losses = self._chunked_losses(step, last, part)
        else:
            losses = step.model.main_loss(finish(outputs), step.targets)
            self._check_isolation(step, last, [sum_losses(losses)])
        if not self.needs_backward:
            return losses
        by_ddp = in_many_processes() and self._reduce is None
        return step.touch(losses, self.modules, self._by_chunks, by_ddp)

    @property
    def _by_chunks(self) -> bool:
        return self.chunk is not None and self.backward == 'immediate'

    def _chunked_losses(
        self, step: Step, index: int, part: ImageWise
    ) -> Dict[str, Tensor]:
        return backward_by_chunks(
            part,
            self.chunk,
            self._backward,
            partial(self._check_isolation, step, index),
        )

    def _check_isolation(
        self,
        step: Step,
        index: int,
        roots: Sequence[Tensor],
        leaves: Sequence[Tensor] = (),
    ) -> None:
        """Walk the graph of a loss once, at the first step."""
        if index in self._isolation_checked or is_constant_here(*roots):
            return
        step.check_isolation(self.modules, index, roots, leaves)
        self._isolation_checked.add(index)
