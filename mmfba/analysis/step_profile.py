# Copyright (c) mmfba authors.
"""Memory, FLOPs and operators of one training step."""

import gc
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Optional

from torch import nn
from torch.optim import Optimizer

from mmfba.local.memory import CudaPeak, PeakTracker

from .flop_counter import flop_counter
from .operators import OperatorCount
from .tensors_in import tensors_in


@dataclass
class StepProfile:
    """What one training step needs; bytes are rounded to 512 per storage.

    Attributes:
        peak_bytes (int): The most that was alive at once, ``static_bytes``
            included.
        static_bytes (int): Alive before and after the step: parameters,
            buffers, optimizer state, the batch, and what the model keeps
            between steps, such as gradients that are not set to None.
        operators (int): Operators that ran, see :class:`OperatorCount`.
        syncs (int): How many of them a GPU would be waited for.
        flops (int): Floating point operations of forward, backward and
            recomputation, those of convolutions and matrix products only.
        timeline (List[int]): Bytes alive after each allocation and release.
        tags (List[Tuple[int, str]]): Each local module's name and where in
            ``timeline`` it starts. Empty if the model has no local modules.
        peak_by_tag (Dict[str, int]): The peak of each of them.
    """

    peak_bytes: int
    static_bytes: int
    operators: int
    syncs: int
    flops: int
    timeline: list[int]
    tags: list[tuple[int, str]]
    peak_by_tag: dict[str, int]

    @property
    def activation_bytes(self) -> int:
        """int: What the step adds to ``static_bytes`` at its peak."""
        return self.peak_bytes - self.static_bytes


def profile_step(
    step: Callable[[], Any],
    model: nn.Module,
    optimizer: Optional[Optimizer] = None,
    inputs: Any = (),
) -> StepProfile:
    """Measure one call of ``step``, the second, as the optimizer has its
    state then.

    If ``model`` has a ``learner``, its ``on_module`` names the local modules.

    Args:
        step (Callable): One training step, to be called repeatedly: forward,
            backward, optimizer step and ``zero_grad``.
        model (nn.Module): The model it trains. On a GPU the memory is what
            PyTorch's allocator handed out, without a timeline.
        optimizer (Optimizer, optional): Its optimizer. Defaults to None.
        inputs (Any): The batch that ``step`` uses: tensors and data elements
            in any nesting. Defaults to ().

    Returns:
        StepProfile: The figures.
    """
    if next(model.parameters()).is_cuda:
        tracker = CudaPeak()
    else:
        tracker = PeakTracker(record=True)
        tracker.track(model, list(tensors_in(inputs)))
        if optimizer is not None:
            tracker.track(optimizer)
    learner = getattr(model, 'learner', None)
    previous = getattr(learner, 'on_module', None)
    # The first call is tracked too: it makes the optimizer's state, and some
    # models keep a few tensors from one step to the next.
    with tracker:
        with flop_counter() as flops:
            step()
        gc.collect()
        static_bytes = tracker.current
        tracker.reset_peak()
        if learner is not None:
            learner.on_module = tracker.tag
        try:
            with OperatorCount() as count:
                step()
        finally:
            if learner is not None:
                learner.on_module = previous
    return StepProfile(
        peak_bytes=tracker.peak,
        static_bytes=static_bytes,
        operators=count.operators,
        syncs=count.syncs,
        flops=flops.get_total_flops(),
        # The tracker goes on when model and batch are freed.
        timeline=list(tracker.timeline),
        tags=tracker.tags,
        peak_by_tag=tracker.peak_by_tag,
    )
