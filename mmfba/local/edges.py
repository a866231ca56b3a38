# Copyright (c) mmfba authors.
from functools import partial
from typing import Dict, List

import torch
from torch import Tensor


class Edges:
    """Leaves that stand for tensors which run past a cut.

    What follows reads a leaf, which a cut can close: after it the leaf
    requires no gradient. The gradients of a leaf are summed, and go on to
    what made it when the backward that reached it is at its end, those of
    the latest leaf first: whatever reads an earlier one has run by then.
    """

    def __init__(self) -> None:
        self._leaves: List[Tensor] = []
        self._grads: Dict[int, Tensor] = {}
        self._handing_on = False

    def leaf(self, tensor: Tensor) -> Tensor:
        """A leaf in place of a tensor of the graph, with the same values.

        Args:
            tensor (Tensor): The tensor; it is returned itself if it requires
                no gradient, or is a leaf of this kind.
        """
        if not tensor.requires_grad or hasattr(tensor, 'made_of'):
            return tensor
        leaf = tensor.detach().requires_grad_()
        leaf.made_of = tensor
        index = len(self._leaves)
        leaf.register_post_accumulate_grad_hook(partial(self._take, index))
        leaf.register_hook(partial(self._reached_closed, index))
        self._leaves.append(leaf)
        return leaf

    def close(self) -> None:
        """Let no gradient reach the leaves made until now by what follows."""
        for leaf in self._leaves:
            leaf.requires_grad_(False)

    def _take(self, index: int, leaf: Tensor) -> None:
        # Taken when it is complete, a gradient is not copied.
        grad, leaf.grad = leaf.grad, None
        if grad is not None:
            self._reached(index, grad)

    def _reached_closed(self, index: int, grad: Tensor) -> None:
        # As with summed losses, whose backward comes after the closing.
        if not self._leaves[index].requires_grad:
            self._reached(index, grad)

    def _reached(self, index: int, grad: Tensor) -> None:
        if not self._grads and not self._handing_on:
            engine = torch.autograd.Variable._execution_engine
            engine.queue_callback(self._hand_on)
        known = self._grads.get(index)
        self._grads[index] = grad if known is None else known + grad

    def _hand_on(self) -> None:
        self._handing_on = True
        try:
            while self._grads:
                index = max(self._grads)
                grad = self._grads.pop(index)
                self._leaves[index].made_of.backward(grad)
        finally:
            self._handing_on = False
            self._grads.clear()
