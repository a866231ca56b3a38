# Copyright (c) mmfba authors.
from contextlib import contextmanager
from functools import partial
from typing import Callable, Iterable, Iterator, Optional

import torch
from mmengine.dist import get_world_size
from mmengine.optim import OptimWrapper
from torch import Tensor, nn

from mmfba.local.precision import no_autocast
from mmfba.registry import OPTIM_WRAPPERS

from ..model_wrappers.gradient_reduction import GradientReduction
from ..unwrap import get_local_model

UPDATES = ('step', 'module')


class LocalBackward:
    """Lends the backward of an optimizer wrapper to the model's learner.

    Local losses are scaled as the last loss will be; one step updates all
    parameters. The accumulation counter moves once an iteration, by
    ``update_params``. After a step, auxiliary networks do what they have to.
    """

    _auxiliaries: Iterable[nn.Module] = ()

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Context of a forward, in which local backwards run.

        Args:
            model (nn.Module): The model or its distributed wrapper.
        """
        plain = get_local_model(
            model, 'optim_wrapper.type', "use 'OptimWrapper'"
        )
        done = self._module_done(plain, getattr(model, 'reduction', None))
        self._auxiliaries = plain.local_aux
        with super().optim_context(model):
            with plain.learner.lend_backward(self.local_backward, done):
                yield

    def _module_done(
        self, model: nn.Module, reduction: Optional[GradientReduction]
    ) -> Optional[Callable[[], None]]:
        """What is to be done when a module has its gradients."""
        return None

    def local_backward(self, loss: Tensor) -> None:
        """Propagate one local loss.

        Args:
            loss (Tensor): A scalar.
        """
        loss = self.scale_loss(loss)
        # Backward ops run in the type of their forward; autocast around
        # them is not supported, and its cache would keep this graph alive.
        with no_autocast(loss.device.type):
            self._propagate(loss)
        torch.clear_autocast_cache()

    def _propagate(self, loss: Tensor) -> None:
        loss.backward()

    def step(self, **kwargs) -> None:
        """Step of the optimizer, and what follows it in auxiliary networks.

        Args:
            **kwargs: Of the optimizer's step.
        """
        super().step(**kwargs)
        for aux in self._auxiliaries:
            aux.after_step()


@OPTIM_WRAPPERS.register_module()
class LocalLearningOptimWrapper(LocalBackward, OptimWrapper):
    """Optimizer wrapper for models with local learning.

    Takes the place of :class:`mmengine.optim.OptimWrapper`; accumulation,
    clipping and ``paramwise_cfg`` mean the same. Auxiliary networks get a
    learning rate of their own (eta_a of S1 eq. 1) by
    ``paramwise_cfg=dict(custom_keys=dict(local_aux=dict(lr_mult=...)))``.

    Args:
        update_by (str): ``'step'`` updates all parameters at the end of the
            training step, ``'module'`` those of each local module as soon as
            it has its gradients, which are freed then: same result, less
            memory. With several processes it waits for them while the next
            module runs. Defaults to ``'step'``.
        **kwargs: Of the plain wrapper.

    Raises:
        ValueError: If something needs the gradients of all modules at once.
    """

    def __init__(self, *args, update_by: str = 'step', **kwargs) -> None:
        super().__init__(*args, **kwargs)
        if update_by not in UPDATES:
            raise ValueError(
                f'optim_wrapper.update_by={update_by!r}: choose from {UPDATES}'
            )
        self.update_by = update_by
        if update_by == 'module' and self.clip_grad_kwargs:
            _refuse('optim_wrapper.clip_grad limits the norm of all gradients')
        if update_by == 'module' and self._accumulative_counts > 1:
            _refuse('optim_wrapper.accumulative_counts sums over iterations')

    def _module_done(
        self, model: nn.Module, reduction: Optional[GradientReduction]
    ) -> Optional[Callable[[], None]]:
        if self.update_by == 'step' or not model.learner.needs_backward:
            return None
        if any(aux.shared_modules for aux in model.local_aux):
            _refuse("auxiliary.head.mode='shared' sums over modules")
        if get_world_size() > 1 and reduction is None:
            raise ValueError(
                "optim_wrapper.update_by='module': this model wrapper "
                'averages the gradients of several processes at the end: use '
                "model_wrapper_cfg=dict(type='mmfba."
                "LocalDistributedDataParallel'), or update_by='step'"
            )
        return partial(self._update_module, reduction)

    def _update_module(self, reduction: Optional[GradientReduction]) -> None:
        if reduction is not None:
            # The module before: this one's are averaged while the next runs.
            reduction.finish(keep=1)
        OptimWrapper.step(self)  # after_step follows the last module's
        self.zero_grad()


def _refuse(reason: str) -> None:
    raise ValueError(
        f"optim_wrapper.update_by='module': {reason}, so gradients cannot be "
        "freed module by module: use update_by='step'"
    )
