# Copyright (c) mmfba authors.
from typing import Any, Dict, Optional

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmfba.analysis.tensors_in import tensors_in
from mmfba.local.memory import CudaPeak, PeakTracker
from mmfba.registry import HOOKS

from ..unwrap import find_local_model

INTERVAL = 100
"""Iterations between two that are watched."""


@HOOKS.register_module()
class MemoryProfileHook(Hook):
    """Logs the peak memory of training steps, local module by local module.

    ``peak_mib`` is the most that was alive at once, ``peak_mib_<k>`` the same
    while local module k ran: on a GPU what PyTorch allocated, on a CPU the
    tensors alive. Watching slows a step down on a CPU, and on a GPU it
    restarts the statistics that mmengine's own ``memory`` reads: of each 100
    iterations the second is watched, when the optimizer has its state.

    Examples:
        >>> custom_hooks = [dict(type='mmfba.MemoryProfileHook')]
    """

    priority = 'NORMAL'  # before the logger

    _tracker: Any = None

    def before_train(self, runner: Runner) -> None:
        """Let watching end with the iteration, however it ends: MMEngine calls
        no hook after an exception, so the loop's own iteration is wrapped.
        """
        run_iter = runner.train_loop.run_iter

        def run_watched(*args, **kwargs) -> None:
            try:
                run_iter(*args, **kwargs)
            finally:
                self._stop(runner)

        runner.train_loop.run_iter = run_watched

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None
    ) -> None:
        """Begin to watch, if it is the iteration's turn."""
        if runner.iter % INTERVAL != 1:
            return
        if torch.cuda.is_available():
            self._tracker = CudaPeak()
        else:
            self._tracker = PeakTracker().track(
                runner.model,
                runner.optim_wrapper.optimizer,
                list(tensors_in(data_batch)),
            )
        self._tracker.__enter__()
        model = find_local_model(runner.model)
        if model is not None:
            model.learner.on_module = self._tracker.tag

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Optional[Dict[str, Any]] = None,
    ) -> None:
        """Log the peaks."""
        tracker = self._stop(runner)
        if tracker is None:
            return
        peaks = {'': tracker.peak}
        peaks.update((f'_{k}', p) for k, p in tracker.peak_by_tag.items())
        for tag, peak in peaks.items():
            name = f'train/peak_mib{tag}'
            runner.message_hub.update_scalar(name, peak / 2**20)

    def _stop(self, runner: Runner) -> Any:
        tracker, self._tracker = self._tracker, None
        if tracker is not None:
            tracker.__exit__(None, None, None)
            model = find_local_model(runner.model)
            if model is not None:
                model.learner.on_module = None
        return tracker
