# Copyright (c) mmfba authors.
from contextlib import contextmanager
from typing import Iterator, Optional

import torch
from mmengine.optim import OptimWrapper
from torch import Tensor, nn
from torch.optim import Optimizer

from mmfba.local.precision import no_autocast
from mmfba.models.choices import check_choice
from mmfba.models.local_model import LocalModel
from mmfba.models.out_of_memory import (
    explain_out_of_memory,
    is_out_of_memory,
)
from mmfba.registry import OPTIM_WRAPPERS

from ..shards import is_shard, shard_loaded_state
from ..unwrap import get_local_model
from .param_groups import step_by_merged_groups

NONFINITE = ('stop', 'skip', 'ignore')


class LocalBackward:
    """Lends the backward of an optimizer wrapper to the model's learner.

    Local losses are scaled as the last loss will be; one step updates all
    parameters. The accumulation counter moves once an iteration, by
    ``update_params``. After a step, auxiliary networks do what they have to.
    Groups of parameters with the same settings take a step as one.

    Args:
        optimizer (torch.optim.Optimizer): What steps.
        nonfinite (str): What a loss that is NaN or infinite leads to.
            ``'stop'`` ends training with an error of
            :class:`FeatureBankHook`, at no cost. ``'skip'`` leaves out a
            step whose gradients are not finite, for one synchronisation with
            the GPU a step. ``'ignore'`` goes on. A gradient scaler skips
            such steps itself: then ``'skip'`` does nothing more, and
            ``'stop'`` waits for 20 of them in a row. Defaults to ``'stop'``.
        **kwargs: Of the plain wrapper.
    """

    _model: Optional[LocalModel] = None

    def __init__(
        self, optimizer: Optimizer, *, nonfinite: str = 'stop', **kwargs
    ) -> None:
        super().__init__(optimizer=optimizer, **kwargs)
        self._split_groups = step_by_merged_groups(optimizer)
        check_choice('optim_wrapper.nonfinite', nonfinite, NONFINITE)
        self.nonfinite = nonfinite
        shard_loaded_state(self.optimizer)

    @property
    def scales_gradients(self) -> bool:
        """bool: Whether a gradient scaler is at work, which skips steps."""
        scaler = getattr(self, 'loss_scaler', None)
        return scaler is not None and scaler.is_enabled()

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Context of a forward, in which local backwards run.

        Raises:
            ValueError: If something cannot work with local backwards.
        """
        plain = get_local_model(
            model, 'optim_wrapper.type', "use 'OptimWrapper'"
        )
        if plain.learner.needs_backward and getattr(
            model, 'static_graph', False
        ):
            raise ValueError(
                'model_wrapper_cfg.static_graph=True: gradients of local '
                'backwards come outside the one backward that is recorded: '
                "remove it, or use type='mmfba.LocalDistributedDataParallel'"
            )
        self._model = plain
        lent = plain.learner.lend_backward(self.local_backward)
        with self._errors_drop_gradients(), super().optim_context(model), lent:
            yield

    def update_params(self, *args, **kwargs) -> None:
        """Last backward and, if it is its turn, step of the optimizer."""
        with self._errors_drop_gradients():
            super().update_params(*args, **kwargs)

    @contextmanager
    def _errors_drop_gradients(self) -> Iterator[None]:
        """Drop all gradients where a step is broken off: those of the first
        local modules are there already, and the next step would add to them.
        """
        try:
            yield
        except BaseException as error:
            self._split_groups(self.optimizer)
            self.zero_grad()
            if self._model is None or not is_out_of_memory(error):
                raise
            raise explain_out_of_memory(error, self._model) from error

    def local_backward(self, loss: Tensor) -> None:
        """Propagate one local loss."""
        loss = self.scale_loss(loss)
        # Backward ops run in the type of their forward; autocast around
        # them is not supported, and its cache would keep this graph alive.
        with no_autocast(loss.device.type):
            self._propagate(loss)
        torch.clear_autocast_cache()

    def _propagate(self, loss: Tensor) -> None:
        loss.backward()

    def step(self, **kwargs) -> None:
        """Step of the optimizer, and what follows it in auxiliary networks."""
        if self.nonfinite == 'skip' and not self.scales_gradients:
            if not _all_finite(self.optimizer):
                return
        super().step(**kwargs)
        for aux in self._model.local_aux if self._model else ():
            aux.after_step()


@OPTIM_WRAPPERS.register_module()
class LocalLearningOptimWrapper(LocalBackward, OptimWrapper):
    """Optimizer wrapper for models with local learning.

    Takes the place of :class:`mmengine.optim.OptimWrapper`; accumulation,
    clipping and ``paramwise_cfg`` mean the same. Auxiliary networks get a
    learning rate of their own (eta_a of S1 eq. 1) by
    ``paramwise_cfg=dict(custom_keys=dict(local_aux=dict(lr_mult=...)))``.
    """


def _all_finite(optimizer: torch.optim.Optimizer) -> bool:
    finite = [
        p.grad.isfinite().all()
        for group in optimizer.param_groups
        for p in group['params']
        if p.grad is not None
    ]
    if not finite:
        return True
    every = torch.stack(finite).all()
    # All processes must leave out the same steps.
    return (every.full_tensor() if is_shard(every) else every).item()
