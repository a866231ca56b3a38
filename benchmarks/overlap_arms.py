# Copyright (c) mmfba authors.
"""Ways to average gradients over processes, and when these come to an end."""

import statistics
import time
from typing import Any, Dict, List, Tuple

import torch
import torch.distributed as dist
from mmengine.config import Config
from mmengine.model import MMDistributedDataParallel
from mmengine.registry import init_default_scope
from torch import nn

from mmfba.analysis.benchmark import ArmRun
from mmfba.engine.command_line import read_config
from mmfba.engine.model_wrappers import LocalDistributedDataParallel
from mmfba.local_config import localise

CONFIG = 'mmdet::fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py'


def overlap_config() -> Config:
    """A detector whose losses average over processes, K=4, all trained."""
    cfg = read_config(CONFIG)
    plain = dict(frozen_stages=-1, norm_eval=False, init_cfg=None)
    cfg.model.backbone.update(plain)
    cfg.model.bbox_head.norm_cfg = None  # of one pixel in small images
    init_default_scope(cfg.default_scope)
    return localise(cfg, 4)


def _stock(model: nn.Module) -> nn.Module:
    ddp = MMDistributedDataParallel(model, broadcast_buffers=False)

    def average(_, bucket):  # what it does without a hook
        flat = bucket.buffer().div_(dist.get_world_size())
        future = dist.all_reduce(flat, async_op=True).get_future()
        return future.then(lambda done: done.value()[0])

    ddp.register_comm_hook(None, average)
    return ddp


def _after_backward(model: nn.Module) -> nn.Module:
    ddp = _after_modules(model)
    ddp.reduction.start = lambda parameters: None
    return ddp


def _after_modules(model: nn.Module) -> nn.Module:
    """What the final backward makes starts behind it."""
    ddp = LocalDistributedDataParallel(model)
    watch, reduction = ddp.reduction.watch, ddp.reduction

    def watch_without_hooks(parameters):
        watch(parameters)
        reduction._hooks.close()

    reduction.watch = watch_without_hooks
    return ddp


def _default_group(model: nn.Module) -> nn.Module:
    ddp = LocalDistributedDataParallel(model)
    ddp.reduction.group = None
    return ddp


ARMS = {
    'BP: MMDistributedDataParallel': ('bp', _stock),
    'BP: LocalDistributedDataParallel': ('bp', LocalDistributedDataParallel),
    'all after the backward': ('local', _after_backward),
    'MMDistributedDataParallel': ('local', _stock),
    'the last module after the backward': ('local', _after_modules),
    'losses and gradients in one group': ('local', _default_group),
    'LocalDistributedDataParallel': ('local', LocalDistributedDataParallel),
}


class Arm:
    """One of :data:`ARMS`, ready to step.

    Attributes:
        seconds (list[float]): Of the steps that the caller has timed.
        started (list[float]): Share of the bytes that had started when the
            backward ended, of each step.
        arrived (list[float]): Share of those that had arrived.
        late (list[float]): Seconds from then until the last one came.
        waited (list[float]): Seconds in which losses waited for theirs.
    """

    def __init__(
        self,
        name: str,
        cfg: Config,
        batch: int,
        shape: Tuple[int, int],
        device: str = 'cpu',
    ) -> None:
        way, wrap = ARMS[name]
        self.name = name
        self.run = ArmRun(cfg, way, batch, shape, device)
        self.ddp = wrap(self.run.model)
        self.seconds: List[float] = []
        self.started: List[float] = []
        self.arrived: List[float] = []
        self.late: List[float] = []
        self.waited: List[float] = []

    def step(self) -> None:
        """One step of the optimizer."""
        sent: List[Dict[str, Any]] = []
        ends: List[float] = []
        engine = torch.autograd.Variable._execution_engine

        def note_end(_):
            engine.queue_callback(lambda: ends.append(time.perf_counter()))

        plain, waited = dist.all_reduce, 0.0

        def recorded(tensor, *args, async_op=False, **kwargs):
            nonlocal waited
            start = time.perf_counter()
            work = plain(tensor, *args, async_op=async_op, **kwargs)
            if not async_op:
                waited += time.perf_counter() - start
            else:
                bucket = dict(bytes=tensor.nbytes, start=start)
                sent.append(bucket)
                work.get_future().add_done_callback(
                    lambda _: bucket.update(end=time.perf_counter())
                )
            return work

        dist.all_reduce = recorded
        try:
            with self.run.optim_wrapper.optim_context(self.ddp):
                losses = self.ddp(*self.run.batch, mode='loss')
                total, _ = self.run.model.parse_losses(losses)
            # Before callbacks of the wrappers, which wait for gradients.
            total.register_hook(note_end)
            self.run.optim_wrapper.update_params(total)
        finally:
            dist.all_reduce = plain
        while not all('end' in bucket for bucket in sent):
            time.sleep(1e-3)  # another thread notes it
        everything = sum(bucket['bytes'] for bucket in sent)
        for times, key in ((self.started, 'start'), (self.arrived, 'end')):
            early = sum(b['bytes'] for b in sent if b[key] <= ends[0])
            times.append(early / everything)
        self.late.append(max(b['end'] for b in sent) - ends[0])
        self.waited.append(waited)
        self.bytes = everything

    def row(self) -> Dict[str, Any]:
        """Medians of all steps, to be called in all processes."""
        return dict(
            arm=self.name,
            num_modules=self.run.model.learner.num_modules,
            bytes=self.bytes,
            started=statistics.median(self.started),
            arrived=statistics.median(self.arrived),
            late_seconds=statistics.median(self.late),
            waited_seconds=statistics.median(self.waited),
            step_seconds=statistics.median(self.seconds),
        )

    def clear(self) -> None:
        """Forget the steps so far."""
        for values in (self.started, self.arrived, self.late, self.waited):
            values.clear()
        self.seconds.clear()
