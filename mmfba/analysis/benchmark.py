# Copyright (c) mmfba authors.
"""Memory, FLOPs and time of one training step, arm by arm."""

import inspect
import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import OPTIMIZERS

from mmfba.local.statistics import is_batch_norm
from mmfba.local_config import WRAPPERS
from mmfba.models.build_model import build_model
from mmfba.models.describe import made_of
from mmfba.type_name import type_name

from .step_profile import StepProfile, profile_step
from .synthetic import make_batch, meta_targets, slice_batch
from .training_arms import make_arm


class ArmRun:
    """One arm: its model, optimizer and batch, ready to step.

    Args:
        cfg (Config): The config that all arms derive from.
        arm (str): See :func:`make_arm`.
        batch_size (int): Images in the batch.
        shape (tuple[int, int]): Height and width of the network's input.
        device (str): ``'cpu'``, ``'cuda'`` or ``'meta'``. On the meta device
            nothing is computed: shapes alone give memory and FLOPs.
    """

    def __init__(
        self,
        cfg: Config,
        arm: str,
        batch_size: int,
        shape: tuple[int, int],
        device: str,
    ) -> None:
        self.device = device
        cfg = make_arm(cfg, arm, batch_size, shape)
        if arm == 'bp':
            _use_stock_wrapper(cfg.optim_wrapper)
        # It reads values, which the meta device has not.
        cfg.optim_wrapper.pop('clip_grad', None)
        if device == 'meta':  # as PyTorch does on a GPU
            _work_on_lists(cfg.optim_wrapper.optimizer)
        torch.manual_seed(0)
        self.model = build_model(cfg)
        if device != 'meta':
            self.model.init_weights()
        self.model.to(device).train()
        self.optim_wrapper = build_optim_wrapper(self.model, cfg.optim_wrapper)
        self.batch = make_batch(self.model, batch_size, shape, device)
        counts = self.optim_wrapper._accumulative_counts
        size = -(-batch_size // counts)
        self._micro_batches = [
            slice_batch(self.batch, slice(start, start + size))
            for start in range(0, batch_size, size)
        ]
        self.trains_bn = any(
            is_batch_norm(m) and m.training for m in self.model.modules()
        )
        self.ghost_bn = counts > 1 and self.trains_bn

    def step(self) -> None:
        """One step of the optimizer."""
        with self._can_run():
            self._step()

    def profile(self) -> StepProfile:
        """Memory, FLOPs and operators of a step."""
        optimizer = self.optim_wrapper.optimizer
        with self._can_run():
            return profile_step(self._step, self.model, optimizer, self.batch)

    def _can_run(self) -> AbstractContextManager:
        meta = self.device == 'meta'
        return meta_targets(self.model) if meta else nullcontext()

    def _step(self) -> None:
        for images, samples in self._micro_batches:
            with self.optim_wrapper.optim_context(self.model):
                losses = self.model(images, samples, mode='loss')
                total, _ = self.model.parse_losses(losses)
            self.optim_wrapper.update_params(total)


def benchmark(
    cfg: Config,
    arms: Iterable[str],
    batch_size: int,
    shape: tuple[int, int],
    device: str = 'meta',
    steps: int = 0,
) -> tuple[list[dict[str, Any]], dict[str, StepProfile]]:
    """Measure arms; the first must be ``bp``, which ratios refer to.

    Args:
        cfg (Config): A config of a local model.
        arms (Iterable[str]): See :func:`make_arm`.
        batch_size (int): Images in the batch.
        shape (tuple[int, int]): Height and width of the network's input.
        device (str): See :class:`ArmRun`. Defaults to ``'meta'``.
        steps (int): Steps of each arm that are timed, in turn with those of
            the other arms. Defaults to 0, no times.

    Returns:
        tuple: A row for each arm, and its profile by its name.

    Raises:
        ValueError: If the first arm is not ``bp``; see also
            :func:`measure`.
    """
    arms = list(arms)
    if arms[:1] != ['bp']:
        raise ValueError(f'arms={arms}: the first must be bp')
    return measure(
        {
            arm: partial(ArmRun, cfg, arm, batch_size, shape, device)
            for arm in arms
        },
        steps,
    )


def measure(
    arms: Mapping[str, Callable[[], ArmRun]], steps: int = 0
) -> tuple[list[dict[str, Any]], dict[str, StepProfile]]:
    """Measure arms; ratios refer to the first.

    Args:
        arms (Mapping[str, Callable]): What makes each arm, by its name.
        steps (int): See :func:`benchmark`. Defaults to 0.

    Returns:
        tuple: See :func:`benchmark`.

    Raises:
        ValueError: If times are asked of the meta device.
    """
    rows, profiles = [], {}
    for name, make in arms.items():
        run = make()
        if steps and run.device == 'meta':
            raise ValueError(
                f'steps={steps}: on the meta device nothing is computed, so '
                'there is no time to measure: set --device cpu or cuda'
            )
        profiles[name] = run.profile()
        first = next(iter(profiles.values()))
        rows.append(dict(arm=name, **_row(run, profiles[name], first)))
        # A GPU's allocator would count it in the next arm's peak.
        del run
    if not steps:
        return rows, profiles
    times = _interleaved([make() for make in arms.values()], steps)
    for row, seconds in zip(rows, times):
        row['step_time_s'] = seconds
        row['step_time_ratio'] = seconds / times[0]
    return rows, profiles


def _use_stock_wrapper(wrapper: dict) -> None:
    """Plain training's, which merges no groups of parameters."""
    for stock, own in WRAPPERS.items():
        if type_name(wrapper.get('type')) == own:
            wrapper['type'] = stock
            wrapper.pop('nonfinite', None)


def _work_on_lists(optimizer: dict[str, Any]) -> None:
    kind = optimizer['type']
    kind = OPTIMIZERS.get(kind) if isinstance(kind, str) else kind
    if kind and 'foreach' in inspect.signature(kind).parameters:
        optimizer.setdefault('foreach', True)


def _row(
    run: ArmRun, profile: StepProfile, first: StepProfile
) -> dict[str, Any]:
    model, static = run.model, profile.static_bytes
    local = hasattr(model, 'learner')  # else the plain network
    auxiliary = model.local_aux.parameters() if local else ()
    return dict(
        num_modules=model.learner.num_modules if local else 1,
        cuts=model.cuts if local else [],
        aux_parameters=sum(p.numel() for p in auxiliary),
        **made_of(model),
        peak_bytes=profile.peak_bytes,
        static_bytes=static,
        activation_bytes=profile.activation_bytes,
        peak_ratio=profile.peak_bytes / first.peak_bytes,
        activation_ratio=profile.activation_bytes / first.activation_bytes,
        operators=profile.operators,
        operators_ratio=profile.operators / first.operators,
        syncs=profile.syncs,
        flops=profile.flops,
        flops_ratio=profile.flops / first.flops,
        step_time_s=None,
        step_time_ratio=None,
        exact_bn=not run.ghost_bn,
        module_peak_bytes=list(profile.peak_by_tag.values()),
    )


def _interleaved(runs: list[ArmRun], steps: int) -> list[float]:
    """Median seconds of a step of each arm; other load hits all alike."""
    times: list[list[float]] = [[] for _ in runs]
    for number in range(steps + 1):
        for run, seconds in zip(runs, times):
            start = _now(run.device)
            run.step()
            if number:  # the first warms up
                seconds.append(_now(run.device) - start)
    return [statistics.median(seconds) for seconds in times]


def _now(device: str) -> float:
    if device == 'cuda':
        torch.cuda.synchronize()
    return time.perf_counter()
