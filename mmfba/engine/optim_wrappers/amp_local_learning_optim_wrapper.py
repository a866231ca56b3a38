# Copyright (c) mmfba authors.
import logging
from typing import Optional, Union
from unittest.mock import patch

import torch
from mmengine.device import get_device
from mmengine.logging import print_log
from mmengine.optim import AmpOptimWrapper
from mmengine.optim.optimizer import amp_optimizer_wrapper
from torch import Tensor

from mmfba.registry import OPTIM_WRAPPERS

from .local_learning_optim_wrapper import LocalBackward


@OPTIM_WRAPPERS.register_module()
class AmpLocalLearningOptimWrapper(LocalBackward, AmpOptimWrapper):
    """Mixed-precision twin of :class:`LocalLearningOptimWrapper`.

    All losses of a step go through one gradient scaler, so that a step is
    skipped as a whole when a gradient overflows. Also runs on a CPU, in
    bfloat16, which takes less time on processors that compute in it; on
    others, which is said in the log, it takes many times as long.

    Args:
        dtype (str | torch.dtype, optional): Type that the forward computes
            in. Defaults to None, PyTorch's choice: float16 on a GPU, bfloat16
            on a CPU.
        **kwargs: Of :class:`LocalBackward` and the plain wrapper.

    Raises:
        ValueError: If there is but a CPU, and ``dtype`` is another than
            bfloat16.
    """

    def __init__(
        self,
        *args,
        dtype: Optional[Union[str, torch.dtype]] = None,
        **kwargs,
    ) -> None:
        if get_device() != 'cpu':
            super().__init__(*args, dtype=dtype, **kwargs)
            return
        dtype = 'bfloat16' if dtype is None else dtype
        if dtype not in ('bfloat16', torch.bfloat16):
            raise ValueError(
                f"optim_wrapper.dtype={dtype!r}: on a CPU choose 'bfloat16'"
            )
        if not _computes_in_bfloat16():
            print_log(
                'This processor has no instructions for bfloat16: training '
                'takes many times as long as in float32. Leave --amp, or '
                'optim_wrapper.type and dtype, out',
                'current',
                logging.WARNING,
            )
        # MMEngine insists on an accelerator, which PyTorch does not need.
        with patch.object(
            amp_optimizer_wrapper, 'is_cuda_available', lambda: True
        ):
            super().__init__(*args, dtype=dtype, **kwargs)

    def _propagate(self, loss: Tensor) -> None:
        self.loss_scaler.scale(loss).backward()


def _computes_in_bfloat16() -> bool:
    """Whether convolutions on this CPU do not fall back to slow ones."""
    if not torch.backends.mkldnn.is_available():
        return True  # not known
    return torch.ops.mkldnn._is_mkldnn_bf16_supported()
