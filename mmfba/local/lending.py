# Copyright (c) mmfba authors.
import warnings
from typing import Any, Callable, ContextManager, List, Optional
from unittest.mock import patch

import torch
from torch import Tensor, nn

Reduce = Callable[[List[nn.Parameter]], None]


class Borrower:
    """What a training engine lends to a learner for a step.

    Local losses are propagated by a lent backward alone, since nobody but the
    engine knows how its losses are scaled.
    """

    _local_backward: Optional[Callable[[Tensor], None]] = None
    _reduce: Optional[Reduce] = None
    _gather: Optional[Callable[[int], None]] = None

    @property
    def lent(self) -> bool:
        """bool: Whether there is a backward for local losses."""
        return self._local_backward is not None

    def lend_backward(
        self, backward: Callable[[Tensor], None]
    ) -> ContextManager[Any]:
        """Use ``backward`` for the local losses inside the context.

        The optimizer wrappers do so. In a loop of your own, without scaling,
        it is ``torch.Tensor.backward``.

        Args:
            backward (Callable): Takes a scalar loss, scales it as the last
                loss will be and calls backward, outside autocast.
        """
        return patch.object(self, '_local_backward', backward)

    def lend_reduction(self, reduce: Reduce) -> ContextManager[Any]:
        """Average gradients over processes by ``reduce`` in the context.

        It is called with the trained parameters of a local module but the
        last, and of its auxiliary network, when they have their gradients, and
        returns before these are averaged.
        """
        return patch.object(self, '_reduce', reduce)

    def lend_weights(
        self, gather: Callable[[int], None]
    ) -> ContextManager[Any]:
        """Call ``gather(index)`` before a local module runs in the context,
        where its weights are not there all the time."""
        return patch.object(self, '_gather', gather)

    def _propagate(self, loss: Tensor) -> None:
        """The lent backward, where the loss has a graph."""
        if is_constant_here(loss):
            warnings.warn(
                'The loss of a local module is a constant in this process, '
                'as of a batch without targets: it adds zero to the mean of '
                'the gradients of all processes',
                stacklevel=2,
            )
            return
        self._local_backward(loss)


def is_constant_here(*losses: Tensor) -> bool:
    """Whether losses have no graph, in one process of several. The others,
    where they may have one, are not to wait for an error here."""
    return in_many_processes() and not any(x.requires_grad for x in losses)


def in_many_processes() -> bool:
    """Whether gradients are averaged over several processes."""
    dist = torch.distributed
    return (
        dist.is_available()
        and dist.is_initialized()
        and dist.get_world_size() > 1
    )
