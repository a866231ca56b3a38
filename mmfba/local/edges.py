# Copyright (c) mmfba authors.
from functools import partial
from typing import Dict, List, Tuple
from weakref import ref

import torch
from torch import Tensor


class Edges:
    """Leaves that stand for tensors which run past a cut.

    What follows reads a leaf, which a cut can close: after it the leaf
    requires no gradient. When a backward has ended, the summed gradient of
    each leaf that it reached goes on to the tensor that the leaf stands for,
    those of the latest leaf first. This takes graphs that meet in leaves and
    parameters alone, see :func:`mmfba.local.ownership.find_owners`.
    """

    def __init__(self) -> None:
        # Weakly: a leaf holds its hooks, and they hold this.
        self._leaves: List[ref] = []
        self._num_closed = 0
        self._grads: Dict[int, Tuple[Tensor, Tensor]] = {}
        self._passing_back = False

    def leaf(self, tensor: Tensor) -> Tensor:
        """A leaf in place of a tensor of the graph, with the same values; the
        tensor itself if it requires no gradient, or is a leaf of this kind."""
        if not tensor.requires_grad or hasattr(tensor, 'made_of'):
            return tensor
        leaf = tensor.detach().requires_grad_()
        leaf.made_of = tensor
        index = len(self._leaves)
        leaf.register_post_accumulate_grad_hook(partial(self._take, index))
        leaf.register_hook(partial(self._reached_closed, index, tensor))
        self._leaves.append(ref(leaf))
        return leaf

    def close(self) -> None:
        """Let no gradient reach the leaves made until now by what follows."""
        for leaf in (leaf() for leaf in self._leaves):
            if leaf is not None:
                leaf.requires_grad_(False)
        self._num_closed = len(self._leaves)

    def _take(self, index: int, leaf: Tensor) -> None:
        # Autograd calls it for a leaf that requires a gradient, when that is
        # complete; taken here, it is not copied.
        grad, leaf.grad = leaf.grad, None
        if grad is not None:
            self._reached(index, leaf.made_of, grad)

    def _reached_closed(
        self, index: int, made_of: Tensor, grad: Tensor
    ) -> None:
        # Of a leaf that was closed after it was read, as with summed losses,
        # whose backward comes last: autograd adds up nothing for it, but
        # still calls the hooks of the tensor.
        if index < self._num_closed:
            self._reached(index, made_of, grad)

    def _reached(self, index: int, made_of: Tensor, grad: Tensor) -> None:
        if not self._grads and not self._passing_back:
            engine = torch.autograd.Variable._execution_engine
            engine.queue_callback(self._pass_back)
        if index in self._grads:
            grad = self._grads[index][1] + grad
        self._grads[index] = made_of, grad

    def _pass_back(self) -> None:
        self._passing_back = True
        try:
            while self._grads:
                made_of, grad = self._grads.pop(max(self._grads))
                made_of.backward(grad)
        finally:
            self._passing_back = False
            self._grads.clear()
