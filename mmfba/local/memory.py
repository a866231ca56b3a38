# Copyright (c) mmfba authors.
"""How much tensor memory a piece of code holds at its worst moment."""

from collections.abc import Iterator
from typing import Any, Optional

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils._python_dispatch import TorchDispatchMode

from .live_storages import LiveStorages

__all__ = ['CudaPeak', 'PeakTracker']


class PeakTracker(TorchDispatchMode):
    """Count the bytes of all tensor storages alive, and their maximum.

    Every storage that an operator returns inside the context is counted once,
    whatever views share it, until it dies. Storages are watched by weak
    references, so nothing is kept alive. It counts on real CPU tensors and on
    the meta device alike, and a backward may run anywhere, also inside the
    forward of a module.

    What existed before is not seen: hand it to :meth:`track`, or it is counted
    from the moment an operator returns a view of it. Buffers inside a kernel
    and sparse tensors are not seen at all. Of a GPU
    ``torch.cuda.max_memory_allocated`` tells more.

    Args:
        granularity (int): Bytes that each storage is rounded up to a multiple
            of. Defaults to 512, as in CUDA's caching allocator; 1 counts
            exact sizes.
        record (bool): Whether to fill :attr:`timeline`. Defaults to False.

    Attributes:
        current (int): Bytes alive now.
        peak (int): The largest :attr:`current` since the start or the last
            :meth:`reset_peak`.
        peak_by_tag (dict[str, int]): The same for each tag, over the time it
            was set.
        timeline (list[int]): :attr:`current` after each of its changes, with
            ``record``.
        tags (list[tuple[int, str]]): Each tag set so far, and the index in
            :attr:`timeline` that it starts at.

    Examples:
        >>> with PeakTracker().track(model, optimizer, images) as tracker:
        >>>     model(images).sum().backward()
        >>> tracker.peak
    """

    def __init__(self, granularity: int = 512, record: bool = False) -> None:
        super().__init__()
        if granularity < 1:
            raise ValueError(
                f'granularity must be positive, got {granularity}'
            )
        self.granularity = granularity
        self.record = record
        self._current = 0
        self._tag: Optional[str] = None
        self._live = LiveStorages(self._change)
        self._resizes: list[Any] = []
        self.reset_peak()

    @property
    def current(self) -> int:
        self._live.collect()
        return self._current

    def track(self, *objs: Any) -> 'PeakTracker':
        """Count storages made before the context was entered.

        Args:
            *objs: Tensors, modules (parameters, their gradients, buffers),
                optimizers (their state), or lists, tuples and dicts of
                these. Other values inside such containers are ignored.
        """
        for obj in objs:
            if not isinstance(
                obj, (Tensor, nn.Module, Optimizer, list, tuple, dict)
            ):
                raise TypeError(
                    'expected a tensor, a module, an optimizer or a '
                    f'container of them, got {type(obj).__name__}'
                )
        self._see(objs)
        return self

    def tag(self, name: Optional[str]) -> None:
        """Name what runs from now on for :attr:`peak_by_tag`; None ends it."""
        self._live.collect()
        self._tag = name
        if name is not None:
            self.tags.append((max(len(self.timeline) - 1, 0), name))
            self._raise_peaks()

    def reset_peak(self) -> None:
        """Start anew from what is alive now: peaks, timeline and tags."""
        self.peak = self.current
        self.peak_by_tag: dict[str, int] = {}
        self.timeline: list[int] = [self.current] if self.record else []
        self.tags: list[tuple[int, str]] = []
        self.tag(self._tag)

    def __enter__(self) -> 'PeakTracker':
        # ``UntypedStorage.resize_`` does not go through the dispatcher.
        original = torch.UntypedStorage.resize_
        self._resizes.append(original)

        def resize_(storage, size):
            result = original(storage, size)
            if storage in self._live:
                self._see_storage(storage)
            return result

        torch.UntypedStorage.resize_ = resize_
        return super().__enter__()

    def __exit__(self, *exc_info) -> None:
        self._live.collect()
        torch.UntypedStorage.resize_ = self._resizes.pop()
        super().__exit__(*exc_info)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        self._live.collect()
        self._see(out)
        return out

    def _see(self, obj: Any) -> None:
        for tensor in _tensors(obj):
            if tensor.layout is torch.strided:
                self._see_storage(tensor.untyped_storage())

    def _see_storage(self, storage: torch.UntypedStorage) -> None:
        size = -(-storage.nbytes() // self.granularity) * self.granularity
        self._live.set(storage, size)

    def _change(self, delta: int) -> None:
        if delta:
            self._current += delta
            if self.record:
                self.timeline.append(self._current)
            self._raise_peaks()

    def _raise_peaks(self) -> None:
        self.peak = max(self.peak, self._current)
        if self._tag is not None:
            self.peak_by_tag[self._tag] = max(
                self.peak_by_tag.get(self._tag, 0), self._current
            )


class CudaPeak:
    """The same figures of the current GPU, from PyTorch's allocator.

    They include what no operator returns: workspaces and buffers inside
    kernels. The statistics are restarted at every tag; ``timeline`` and
    ``tags`` stay empty.
    """

    def __init__(self) -> None:
        self._tag: Optional[str] = None
        self.timeline: list[int] = []
        self.tags: list[tuple[int, str]] = []
        self.peak = 0
        self.peak_by_tag: dict[str, int] = {}

    @property
    def current(self) -> int:
        return torch.cuda.memory_allocated()

    def reset_peak(self) -> None:
        """Start anew from what is alive now."""
        torch.cuda.reset_peak_memory_stats()
        self.peak, self.peak_by_tag = self.current, {}

    def tag(self, name: Optional[str]) -> None:
        """See :meth:`PeakTracker.tag`."""
        self._collect()
        self._tag = name

    def __enter__(self) -> 'CudaPeak':
        torch.cuda.reset_peak_memory_stats()
        return self

    def __exit__(self, *exc_info) -> None:
        self._collect()

    def _collect(self) -> None:
        peak = torch.cuda.max_memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        self.peak = max(self.peak, peak)
        if self._tag is not None:
            self.peak_by_tag[self._tag] = max(
                self.peak_by_tag.get(self._tag, 0), peak
            )


def _tensors(obj: Any) -> Iterator[Tensor]:
    if isinstance(obj, Tensor):
        yield obj
    elif isinstance(obj, (list, tuple)):
        for item in obj:
            yield from _tensors(item)
    elif isinstance(obj, dict):
        yield from _tensors(list(obj.values()))
    elif isinstance(obj, nn.Module):
        for param in obj.parameters():
            yield param
            if param.grad is not None:
                yield param.grad
        yield from obj.buffers()
    elif isinstance(obj, Optimizer):
        yield from _tensors(list(obj.state.values()))
