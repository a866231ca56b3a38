# Copyright (c) mmfba authors.
from contextlib import contextmanager
from typing import Any, Iterator

import torch
from torch.overrides import TorchFunctionMode


class _ReadableLinspace(TorchFunctionMode):
    """Rates of stochastic depth are read from a ``linspace`` by ``item``."""

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if func is torch.linspace:
            kwargs['device'] = 'cpu'
        return func(*args, **kwargs)


@contextmanager
def on_meta() -> Iterator[None]:
    """Build models without memory: their parameters are on the meta device.

    Examples:
        >>> with on_meta():
        >>>     backbone = MODELS.build(cfg.model.backbone)
    """
    with torch.device('meta'), _ReadableLinspace():
        yield
