# Copyright (c) mmfba authors.
from contextlib import contextmanager, nullcontext
from typing import Iterator

import torch
from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapper
from torch import Tensor, nn

from mmfba.local import LocalLearner
from mmfba.registry import OPTIM_WRAPPERS


class LocalBackward:
    """Lends the backward of an optimizer wrapper to the model's learner.

    Local losses are scaled as the last loss will be; one step updates all
    parameters. The accumulation counter moves once an iteration, by
    ``update_params``.
    """

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Context of a forward, in which local backwards run.

        Args:
            model (nn.Module): The model or its distributed wrapper.
        """
        with super().optim_context(model):
            with _learner_of(model).lend_backward(self.local_backward):
                yield

    def local_backward(self, loss: Tensor) -> None:
        """Propagate one local loss.

        Args:
            loss (Tensor): A scalar.
        """
        loss = self.scale_loss(loss)
        # Backward ops run in the type of their forward; autocast around
        # them is not supported, and its cache would keep this graph alive.
        device = loss.device.type
        with (
            torch.autocast(device, enabled=False)
            if torch.amp.is_autocast_available(device)
            else nullcontext()  # the meta device
        ):
            self._propagate(loss)
        torch.clear_autocast_cache()

    def _propagate(self, loss: Tensor) -> None:
        loss.backward()


@OPTIM_WRAPPERS.register_module()
class LocalLearningOptimWrapper(LocalBackward, OptimWrapper):
    """Optimizer wrapper for models with local learning.

    Takes the place of :class:`mmengine.optim.OptimWrapper`; accumulation,
    clipping and ``paramwise_cfg`` mean the same. Auxiliary networks get a
    learning rate of their own (eta_a of S1 eq. 1) by
    ``paramwise_cfg=dict(custom_keys=dict(local_aux=dict(lr_mult=...)))``.
    """


def _learner_of(model: nn.Module) -> LocalLearner:
    plain = model.module if is_model_wrapper(model) else model
    if not hasattr(plain, 'learner'):
        raise TypeError(
            f'optim_wrapper.type: the model {type(plain).__name__} does no '
            "local learning: use 'OptimWrapper', or one of "
            "model.type='mmfba.LocalImageClassifier', "
            "'mmfba.LocalSingleStageDetector' and 'mmfba.LocalEditModel'"
        )
    return plain.learner
