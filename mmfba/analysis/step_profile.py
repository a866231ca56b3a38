# Copyright (c) mmfba authors.
"""Memory and FLOPs of one training step."""

import copy
import gc
import io
import os.path as osp
import tempfile
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from typing import Any, Optional

from mmengine.config import Config
from mmengine.runner import BaseLoop, Runner, set_random_seed
from torch import nn
from torch.optim import Optimizer
from torch.utils.flop_counter import FlopCounterMode

from mmfba.local.memory import CudaPeak, PeakTracker

from .tensors_in import tensors_in

__all__ = ['ProfileLoop', 'StepProfile', 'profile_config', 'profile_step']


@dataclass
class StepProfile:
    """What one training step needs; bytes are rounded to 512 per storage.

    Attributes:
        peak_bytes (int): The most that was alive at once, ``static_bytes``
            included.
        static_bytes (int): Alive before and after the step: parameters,
            buffers, optimizer state, the batch, and what the model keeps
            between steps, such as gradients that are not set to None.
        flops (int): Floating point operations of forward, backward and
            recomputation, those of convolutions and matrix products only.
        timeline (List[int]): Bytes alive after each allocation and release.
        tags (List[Tuple[int, str]]): Each local module's name and where in
            ``timeline`` it starts. Empty if the model has no local modules.
        peak_by_tag (Dict[str, int]): The peak of each of them.
    """

    peak_bytes: int
    static_bytes: int
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
    num_warmup: int = 1,
) -> StepProfile:
    """Measure one call of ``step``.

    If ``model`` has a ``learner``, its ``on_module`` names the local modules.

    Args:
        step (Callable): One training step, to be called repeatedly: forward,
            backward, optimizer step and ``zero_grad``.
        model (nn.Module): The model it trains. On a GPU the memory is what
            PyTorch's allocator handed out, without a timeline.
        optimizer (Optimizer, optional): Its optimizer. Defaults to None.
        inputs (Any): The batch that ``step`` uses: tensors and data elements
            in any nesting. Defaults to ().
        num_warmup (int): Calls before the one that is measured, so that
            the optimizer has its state; FLOPs are those of the last of them.
            Defaults to 1.

    Returns:
        StepProfile: The figures.

    Raises:
        ValueError: If ``num_warmup`` is less than 1.
    """
    if num_warmup < 1:
        raise ValueError(f'num_warmup must be at least 1, got {num_warmup}')
    if next(model.parameters()).is_cuda:
        tracker = CudaPeak()
    else:
        tracker = PeakTracker(record=True)
        tracker.track(model, list(tensors_in(inputs)))
        if optimizer is not None:
            tracker.track(optimizer)
    learner = getattr(model, 'learner', None)
    previous = getattr(learner, 'on_module', None)
    # The warm-up is tracked too: it makes the optimizer's state, and some
    # models keep a few tensors from one step to the next.
    with tracker:
        for _ in range(num_warmup - 1):
            step()
        with FlopCounterMode(display=False) as flop_counter:
            step()
        gc.collect()
        static_bytes = tracker.current
        tracker.reset_peak()
        if learner is not None:
            learner.on_module = tracker.tag
        try:
            step()
        finally:
            if learner is not None:
                learner.on_module = previous
    return StepProfile(
        peak_bytes=tracker.peak,
        static_bytes=static_bytes,
        flops=flop_counter.get_total_flops(),
        # The tracker goes on when model and batch are freed.
        timeline=list(tracker.timeline),
        tags=tracker.tags,
        peak_by_tag=tracker.peak_by_tag,
    )


def profile_config(cfg: Config, num_warmup: int = 1) -> StepProfile:
    """Measure one training step of a config, of any task.

    The config's own Runner builds everything, in its own order, so that all
    keys mean what they mean in training; the first batch of its training data
    is used for every step. The learning rate is set to 0: all steps compute
    the same. With gradient accumulation a step is a whole cycle, up to the
    optimizer's update. Given the same ``randomness.seed`` (0 if there is
    none), different arms see the same batch.

    Args:
        cfg (Config): A training config. It is not changed.
        num_warmup (int): See :func:`profile_step`. Defaults to 1.

    Returns:
        StepProfile: The figures.
    """
    cfg = copy.deepcopy(cfg)
    for split in ('val', 'test'):
        for key in ('dataloader', 'cfg', 'evaluator'):
            cfg.pop(f'{split}_{key}', None)
    # Nothing that writes outside the scratch directory, connects to a server
    # or starts another process.
    for key in ('param_scheduler', 'auto_scale_lr', 'visualizer'):
        cfg.pop(key, None)
    cfg.default_hooks = dict(
        cfg.get('default_hooks') or {}, logger=None, checkpoint=None
    )
    cfg.update(log_level='WARNING', launcher='none', resume=False)
    for key in ('persistent_workers', 'prefetch_factor'):
        cfg.train_dataloader.pop(key, None)
    cfg.train_dataloader.num_workers = 0
    cfg.randomness = dict(cfg.get('randomness') or {})
    if cfg.randomness.get('seed') is None:
        cfg.randomness.seed = 0
    cfg.train_cfg = dict(
        type=f'{__name__}.{ProfileLoop.__name__}', num_warmup=num_warmup
    )
    with tempfile.TemporaryDirectory() as work_dir:
        cfg.work_dir = work_dir
        # mmengine keeps loggers and visualizers by this name for good.
        cfg.experiment_name = osp.basename(work_dir)
        runner = Runner.from_cfg(cfg)
        runner.train()
        return runner.train_loop.profile


class ProfileLoop(BaseLoop):
    """A training loop that measures a step instead of training.

    It calls no hooks, except those that the Runner calls around it.

    Args:
        runner (Runner): The runner.
        dataloader (dict or DataLoader): The training data.
        num_warmup (int): See :func:`profile_step`. Defaults to 1.

    Attributes:
        profile (StepProfile): The figures, after :meth:`run`.
    """

    iter = epoch = 0
    max_epochs = 1

    def __init__(self, runner, dataloader, num_warmup: int = 1) -> None:
        # pycocotools prints while it loads annotations.
        with redirect_stdout(io.StringIO()):
            super().__init__(runner, dataloader)
        self.num_warmup = num_warmup
        self.profile: Optional[StepProfile] = None

    @property
    def max_iters(self) -> int:
        """int: Calls of ``train_step`` in all."""
        return (self.num_warmup + 1) * self._accumulative_counts

    @property
    def _accumulative_counts(self) -> int:
        return self.runner.optim_wrapper._accumulative_counts

    def run(self) -> nn.Module:
        """Measure, and keep the result in :attr:`profile`."""
        model, optim_wrapper = self.runner.model, self.runner.optim_wrapper
        for group in optim_wrapper.param_groups:
            group['lr'] = 0.0
        # Building another model has drawn other random numbers.
        set_random_seed(self.runner.seed)
        data = next(iter(self.dataloader))

        def step():
            for _ in range(self._accumulative_counts):
                model.train_step(data, optim_wrapper)

        model.train()
        self.profile = profile_step(
            step, model, optim_wrapper.optimizer, data, self.num_warmup
        )
        return model
