# Copyright (c) mmfba authors.
from collections import deque
from contextlib import ExitStack
from typing import (
    Any,
    Deque,
    Dict,
    Iterator,
    List,
    Optional,
    Sequence,
    Set,
    Tuple,
)

import torch
import torch.distributed as dist
from torch import Tensor, nn

Parameters = List[nn.Parameter]


class GradientReduction:
    """Averages gradients over all processes while other work goes on.

    Those of a local module that is done travel while the next one runs, those
    of a backward that runs as soon as it has made them.

    Gradients travel in flat buckets. From :meth:`start` to :meth:`finish`
    ``grad`` is None, so that nothing can add to a gradient under way; then it
    is a view of its bucket. A gradient that is missing on some processes
    counts as zero there, so that the others do not wait for it. Behind its
    gradients a bucket holds a flag for each, by which a process that misses
    one learns whether all do. All processes must start the same parameters in
    the same order.

    Attributes:
        unreached (list[nn.Parameter]): Those without a gradient on any
            process, which keep none.
        late (list[nn.Parameter]): Those whose gradient went on to grow when
            it was under way already, so that the average lacks a part.

    Args:
        bucket_bytes (int): Gradients are put together up to this size.
        group (ProcessGroup, optional): Of all processes, for gradients alone:
            what else is reduced then does not wait behind them. Defaults to
            None, the default group.
    """

    def __init__(
        self, bucket_bytes: int, group: Optional[dist.ProcessGroup] = None
    ) -> None:
        self.bucket_bytes = bucket_bytes
        self.group = group
        self.started: Set[nn.Parameter] = set()
        self.unreached: Parameters = []
        self.late: Parameters = []
        self._missing: Set[nn.Parameter] = set()
        self._pending: Deque[List[Tuple[dist.Work, Parameters, Tensor]]] = (
            deque()
        )
        self._watched: Deque[Parameters] = deque()
        self._hooks = ExitStack()

    def start(self, parameters: Sequence[nn.Parameter]) -> None:
        """Begin to average the gradients of one local module."""
        buckets = list(_buckets(parameters, self.bucket_bytes))
        self._pending.append([self._start(bucket) for bucket in buckets])

    def watch(self, parameters: Sequence[nn.Parameter]) -> None:
        """Average gradients while the backward that is to come makes them.

        The buckets are fixed, last parameters first, and start in this order,
        whatever the order in which a process' backward fills them.
        """
        self._watched.extend(_buckets(parameters[::-1], self.bucket_bytes))
        left = {p: bucket for bucket in self._watched for p in bucket}
        lacking = {id(bucket): len(bucket) for bucket in self._watched}

        def ready(parameter: nn.Parameter) -> None:
            bucket = left.pop(parameter, None)
            if bucket is None:
                if parameter in self.started:
                    self.late.append(parameter)
                return
            lacking[id(bucket)] -= 1
            while self._watched and not lacking[id(self._watched[0])]:
                self._start_next()

        for p in parameters:
            hook = p.register_post_accumulate_grad_hook(ready)
            self._hooks.callback(hook.remove)

    def start_watched(self) -> None:
        """Begin to average what the backward has not filled by its end."""
        while self._watched:
            self._start_next()

    def _start_next(self) -> None:
        self._pending.append([self._start(self._watched.popleft())])

    def _start(
        self, bucket: Parameters
    ) -> Tuple[dist.Work, Parameters, Tensor]:
        flags = bucket[0].new_ones(len(bucket))
        for i, p in enumerate(bucket):
            if p.grad is None:
                self._missing.add(p)
                p.grad, flags[i] = torch.zeros_like(p), 0
        flat = torch.cat([*(p.grad.reshape(-1) for p in bucket), flags])
        for p in bucket:
            p.grad = None
        self.started.update(bucket)
        # Divided first, as DistributedDataParallel does it: a sum of float16
        # could overflow.
        flat.div_(dist.get_world_size())
        work = dist.all_reduce(flat, group=self.group, async_op=True)
        return work, bucket, flat

    def finish(self) -> None:
        """Make the averages the gradients."""
        while self._pending:
            for work, bucket, flat in self._pending.popleft():
                work.wait()
                sizes = [p.numel() for p in bucket]
                *pieces, flags = flat.split([*sizes, len(bucket)])
                for i, (p, piece) in enumerate(zip(bucket, pieces)):
                    # Reading a flag waits for the GPU.
                    if p in self._missing and not flags[i]:
                        self.unreached.append(p)
                    else:
                        p.grad = piece.view_as(p)

    def clear(self) -> None:
        """Forget a step that was broken off."""
        for work, _, _ in sum(self._pending, []):
            work.wait()
        self._hooks.close()
        self._watched.clear()
        self._pending.clear()
        self.started.clear()
        self.late.clear()
        self.unreached.clear()
        self._missing.clear()


def _buckets(
    parameters: Sequence[nn.Parameter], limit: int
) -> Iterator[Parameters]:
    """Groups of one type and device: up to ``limit`` bytes, or one alone."""
    groups: Dict[Any, Parameters] = {}
    for p in parameters:
        groups.setdefault((p.dtype, p.device), []).append(p)
    for group in groups.values():
        bucket: Parameters = []
        size = 0
        for p in group:
            if bucket and size + p.nbytes > limit:
                yield bucket
                bucket, size = [], 0
            bucket.append(p)
            size += p.nbytes
        yield bucket
