# Copyright (c) mmfba authors.
from functools import partial
from typing import Any, Callable, Dict, Mapping, Optional, Sequence, Set

import torch
from torch import Tensor, nn

from .chunked import ImageWise, backward_by_chunks
from .feature_bank import FeatureBank
from .features import INPUT, FeatureSpec
from .interception import Cuts, Interception
from .lending import Borrower, in_many_processes, is_constant_here
from .losses import (
    log_values,
    reach_with_zero_gradient,
    sum_losses,
    weigh_losses,
)
from .random_state import forked_random_state
from .replacement import replaced
from .statistics import frozen_statistics
from .trained import Trained

Losses = Dict[str, Any]
BACKWARDS = ('immediate', 'summed')
TIMINGS = ('causal', 'two_pass')


class LocalLearner(Borrower):
    r"""Trains a network module by module while its own forward runs.

    Local module :math:`j` with parameters :math:`\theta_j` and its auxiliary
    network with parameters :math:`\gamma_j` follow the gradient of their own
    loss alone (S1 eq. 1). Its backward runs at the cut, before the next
    module starts, which frees the module's activations.

    The learner knows modules by name only, so that a copy of it, with a copy
    of the model, is independent.

    Args:
        cuts (Cuts): Where the network is cut.
        features (Mapping[str, FeatureSpec]): The network's features by name.
        cut_features (Sequence[str]): Names of the features at the cuts.
        last_reader (Mapping[str, int]): See :class:`FeatureBank`.
        backward (str): ``'immediate'`` runs the backward of each local loss
            at once. ``'summed'`` returns the local losses to be summed by the
            caller: same gradients, no memory saved. Defaults to
            ``'immediate'``.
        timing (str): When the bank is filled: ``'causal'`` by the units as
            they run, ``'two_pass'`` by a forward without gradients before
            them. Defaults to ``'causal'``.
        loss_weight (float): Weight of the local losses. Defaults to 1.0.
        chunk (int, optional): Images that neck and head of a module, and of
            the auxiliary networks, see at a time, see
            :func:`backward_by_chunks`. It has no effect on ``'summed'``.
            Defaults to None, the whole batch.
    """

    def __init__(
        self,
        cuts: Cuts,
        features: Mapping[str, FeatureSpec],
        cut_features: Sequence[str],
        last_reader: Mapping[str, int],
        *,
        backward: str = 'immediate',
        timing: str = 'causal',
        loss_weight: float = 1.0,
        chunk: Optional[int] = None,
    ) -> None:
        self.cuts = cuts
        self.features = dict(features)
        self.cut_features = tuple(cut_features)
        self.bank = FeatureBank(last_reader)
        self.backward = backward
        self.timing = timing
        self.loss_weight = loss_weight
        self.chunk = chunk
        self.peak_bank_bytes = 0
        self.running = 0
        self.on_module: Optional[Callable[[str], None]] = None
        self._isolation_checked: Set[int] = set()

    @property
    def num_modules(self) -> int:
        """int: K, the number of trained local modules."""
        return len(self.cut_features) + 1

    @property
    def needs_backward(self) -> bool:
        """bool: Whether :meth:`run` itself calls backward."""
        several = self.num_modules > 1 or self.chunk is not None
        return self.backward == 'immediate' and several

    def run(
        self,
        trained: Trained,
        images: Tensor,
        plain_loss: Callable[[], Any],
    ) -> Losses:
        """One forward of a training step, local backwards included.

        Args:
            trained (Trained): What is trained.
            images (Tensor): The batch, (N, C, H, W).
            plain_loss (Callable): The plain model's own loss: runs the
                network and returns the losses of the main head, or with
                ``chunk`` an :class:`ImageWise` of them.

        Returns:
            dict: The losses of the main head, to be summed and propagated by
            the caller, and the local losses: detached and under keys without
            the word "loss" where their backward has run already.

        Raises:
            TypeError: If local losses need a backward and none is lent.
        """
        if self.needs_backward and not self.lent:
            raise TypeError(
                'Local losses need a backward, and none is lent: run the step '
                'in `with learner.lend_backward(torch.Tensor.backward):`'
            )
        logs: Losses = {}
        self.peak_bank_bytes = 0

        def at_cut(index: int, output: Any) -> None:
            feature = self.features[self.cut_features[index]]
            x = feature.map_of(output, images)
            logs.update(self._learn(trained, index, x))
            # It only shrinks behind a cut, and is empty behind the last.
            size = self.bank.nbytes
            self.peak_bank_bytes = max(self.peak_bank_bytes, size)
            self.bank.cut(index)
            if self.backward == 'immediate' and self._reduce is not None:
                self._reduce(trained.parameters(index))
            self._start(index + 1)

        with self.bank.step(), replaced(trained.forwards):
            if self.timing == 'two_pass':
                self._fill_bank(trained.network, images)
            self.bank.put(INPUT, images)
            self._start(0)
            with self._intercepted(trained.network, images, at_cut):
                losses = plain_loss()
            losses = self._main_losses(trained, losses)
        return {**losses, **logs}

    def _learn(self, trained: Trained, index: int, x: Tensor) -> Losses:
        """The local loss of module ``index``, and its backward."""
        auxiliary = trained.auxiliaries[index]
        weight, prefix = self.loss_weight, f'aux{index}/'
        with forked_random_state():
            if self.by_chunks:
                part = auxiliary.image_wise(x, self.bank, trained.targets)
                losses = self._chunked(trained, index, part.weighed(weight))
                return log_values(losses, prefix)
            losses = auxiliary.loss(x, self.bank, trained.targets)
        losses = weigh_losses(losses, weight)
        total = sum_losses(losses)
        self._check_once(trained, index, [total])
        if self.backward == 'summed':
            return {prefix + name: v for name, v in losses.items()}
        self._propagate(total)
        return log_values(losses, prefix)

    def _main_losses(self, trained: Trained, losses: Any) -> Losses:
        """Losses of the main head, as the caller is to propagate them."""
        last = self.num_modules - 1
        if isinstance(losses, ImageWise):
            losses = self._chunked(trained, last, losses)
        elif last not in self._isolation_checked:  # a sum is an operator
            self._check_once(trained, last, [sum_losses(losses)])
        if not self.needs_backward:
            return losses
        reached = []
        if in_many_processes() and self._reduce is None:
            # DistributedDataParallel reduces what the last backward reaches.
            # With chunks the backward of the main loss has run as well.
            late = trained.late if self.by_chunks else []
            reached = [*trained.early, *late]
        elif self.by_chunks:  # what is returned must have a graph
            reached = [trained.smallest_late]
        return reach_with_zero_gradient(losses, reached)

    def _intercepted(
        self,
        network: nn.Module,
        images: Tensor,
        on_cut: Callable[[int, Any], None],
        cuts: Optional[Cuts] = None,
    ) -> Interception:
        """The network with hooks that fill the bank and stop at the cuts."""
        taps = {
            self.features[name].module: self.features[name]
            for name in self.bank.read_features
            if name != INPUT
        }

        def put(module: str, output: Any) -> None:
            spec = taps[module]
            self.bank.put(spec.name, spec.map_of(output, images))

        cuts = self.cuts if cuts is None else cuts
        return Interception(network, cuts, on_cut, tuple(taps), put)

    def _fill_bank(self, network: nn.Module, images: Tensor) -> None:
        """The first of two passes leaves no trace but in the bank."""
        with (
            torch.no_grad(),
            forked_random_state(),
            frozen_statistics([network]),
            self._intercepted(network, images, lambda *_: None, Cuts()),
        ):
            network(images)
        # Before PyTorch 2.11 autocast hands on its copies of the weights,
        # which have no graph: the convs that run next would get no gradient.
        torch.clear_autocast_cache()

    def _start(self, index: int) -> None:
        self.running = index  # for who has to explain an error
        if self._gather:
            self._gather(index)
        if self.on_module:
            self.on_module(str(index))

    @property
    def by_chunks(self) -> bool:
        """bool: Whether ends of networks see some images at a time."""
        return self.chunk is not None and self.backward == 'immediate'

    def _chunked(
        self, trained: Trained, index: int, part: ImageWise
    ) -> Losses:
        inspect = partial(self._check_once, trained, index)
        return backward_by_chunks(part, self.chunk, self._propagate, inspect)

    def _check_once(
        self,
        trained: Trained,
        index: int,
        roots: Sequence[Tensor],
        leaves: Sequence[Tensor] = (),
    ) -> None:
        """Walk the graph of a loss once, at the first step."""
        if index in self._isolation_checked or is_constant_here(*roots):
            return
        trained.check_isolation(index, roots, leaves)
        self._isolation_checked.add(index)
