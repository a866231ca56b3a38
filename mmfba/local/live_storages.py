# Copyright (c) mmfba authors.
import weakref
from functools import partial
from typing import Any, Callable, Dict, Tuple

import torch
from torch.multiprocessing.reductions import StorageWeakRef

# A storage's Python object lives as long as the storage since torch 2.2 only;
# before, weak references to it even crash.
POLLED = torch.__version__.startswith('2.1.')


class LiveStorages:
    """Sizes of storages, each forgotten when the storage dies.

    Args:
        change (Callable): Called with the difference in bytes whenever a size
            is new, changes, or is forgotten.
    """

    def __init__(self, change: Callable[[int], None]) -> None:
        self._change = change
        self._sizes: Dict[int, Tuple[Any, int]] = {}

    def __contains__(self, storage: torch.UntypedStorage) -> bool:
        return storage._cdata in self._sizes

    def set(self, storage: torch.UntypedStorage, size: int) -> None:
        """Remember the size of a storage, in bytes."""
        key = storage._cdata
        if key in self._sizes:
            ref, known = self._sizes[key]
        elif POLLED:
            ref, known = StorageWeakRef(storage), 0
        else:
            ref, known = weakref.ref(storage, partial(self._forget, key)), 0
        self._sizes[key] = ref, size
        self._change(size - known)

    def collect(self) -> None:
        """Forget the dead; on torch 2.1 this does not happen by itself."""
        if POLLED:
            refs = [(key, ref) for key, (ref, _) in self._sizes.items()]
            for key in [key for key, ref in refs if ref.expired()]:
                self._forget(key)

    def _forget(self, key: int, _: Any = None) -> None:
        self._change(-self._sizes.pop(key)[1])
