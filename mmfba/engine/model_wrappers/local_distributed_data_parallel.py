# Copyright (c) mmfba authors.
from datetime import timedelta
from typing import Any, ContextManager, Dict, List, Optional
from unittest.mock import patch

import torch
import torch.distributed as dist
from mmengine.optim import OptimWrapper
from torch import Tensor, nn

from mmfba.analysis.tensors_in import tensors_in
from mmfba.local.losses import reach_with_zero_gradient
from mmfba.models.optim_wrapper import check_optim_wrapper
from mmfba.registry import MODEL_WRAPPERS

from ..unwrap import get_local_model
from .gradient_reduction import GradientReduction


@MODEL_WRAPPERS.register_module()
class LocalDistributedDataParallel(nn.Module):
    """Data parallel training of a local model in several processes.

    The gradients of a local module are averaged over all processes while the
    next module runs, those of the last one, and of whatever else is trained,
    while the final backward makes them. Each is averaged once.
    (:class:`torch.nn.parallel.DistributedDataParallel` starts with the final
    backward, when local backwards are long over.)

    As with the wrapper that MMEngine takes by default, buffers are made equal
    once, here, and not kept equal: see ``SyncBuffersHook`` and ``sync_bn``.

    Args:
        module (nn.Module): A local model, on its device.
        bucket_cap_mb (float): Gradients are put together up to this size in
            MiB. Defaults to 25, as in DistributedDataParallel.
        timeout (float, optional): Seconds that gradients wait for those of
            another process; ``tools/train.py`` takes
            ``env_cfg.dist_cfg.timeout``. Defaults to None, PyTorch's own.

    Raises:
        TypeError: If the model does no local learning.

    Examples:
        >>> model_wrapper_cfg = dict(
        >>>     type='mmfba.LocalDistributedDataParallel')
    """

    def __init__(
        self,
        module: nn.Module,
        bucket_cap_mb: float = 25,
        timeout: Optional[float] = None,
    ) -> None:
        super().__init__()
        self.module = get_local_model(
            module, 'model_wrapper_cfg.type', "use 'MMDistributedDataParallel'"
        )
        self.require_backward_grad_sync = True
        # What losses and synchronised norms reduce, on the default group,
        # does not wait behind gradients, nor is it mistaken for them where a
        # process lacks one and sends it later. NCCL wants launches in one
        # order in all processes: it is that of the modules.
        limit = None if timeout is None else timedelta(0, timeout)
        group = dist.new_group(timeout=limit)
        self.reduction = GradientReduction(int(bucket_cap_mb * 2**20), group)
        self._backward_ends = False
        with torch.no_grad():
            for tensor in [*module.parameters(), *module.buffers()]:
                dist.broadcast(tensor, src=0)

    def no_sync(self) -> ContextManager[Any]:
        """Gradients of forwards in this context stay on their process, until
        they are averaged together with those of the next forward outside."""
        return patch.object(self, 'require_backward_grad_sync', False)

    def forward(self, *args, **kwargs) -> Any:
        """Forward of the model, local backwards included; a backward from
        what it returns ends with averaged gradients."""
        if torch.is_grad_enabled():  # a step that had no backward is over
            self.reduction.clear()
            self._backward_ends = False
        if not (self.require_backward_grad_sync and torch.is_grad_enabled()):
            with self.module.learner.lend_reduction(lambda parameters: None):
                return self._with_graph(self.module(*args, **kwargs))
        with self.module.learner.lend_reduction(self.reduction.start):
            outputs = self._with_graph(self.module(*args, **kwargs))
        started = self.reduction.started
        trained = (p for p in self.module.parameters() if p.requires_grad)
        self.reduction.watch([p for p in trained if p not in started])
        for tensor in tensors_in(outputs):
            if tensor.requires_grad:
                tensor.register_hook(self._during_backward)
        return outputs

    def train_step(
        self, data: Any, optim_wrapper: OptimWrapper
    ) -> Dict[str, Tensor]:
        """As that of ``MMDistributedDataParallel``."""
        check_optim_wrapper(self.module, optim_wrapper)
        with optim_wrapper.optim_context(self):
            data = self.module.data_preprocessor(data, training=True)
            losses = self(**data, mode='loss')
        loss, log_vars = self.module.parse_losses(losses)
        optim_wrapper.update_params(loss)
        return log_vars

    def val_step(self, data: Any) -> List[Any]:
        """Predictions of the model."""
        return self.module.val_step(data)

    def test_step(self, data: Any) -> List[Any]:
        """Predictions of the model."""
        return self.module.test_step(data)

    def _with_graph(self, outputs: Any) -> Any:
        """Constant losses, as of a batch without boxes, get a graph: other
        processes, where they are none, wait for our backward."""
        graphs = (tensor.requires_grad for tensor in tensors_in(outputs))
        if not isinstance(outputs, dict) or any(graphs):
            return outputs
        leaf = next(tensors_in(outputs)).new_zeros(())
        return reach_with_zero_gradient(outputs, [leaf.requires_grad_()])

    def _during_backward(self, grad: Tensor) -> None:
        if not self._backward_ends:
            self._backward_ends = True
            # As PyTorch's own data parallel wrappers do it.
            engine = torch.autograd.Variable._execution_engine
            engine.queue_callback(self._at_end_of_backward)

    def _at_end_of_backward(self) -> None:
        # Behind other callbacks, which may pass gradients on.
        engine = torch.autograd.Variable._execution_engine
        engine.queue_callback(self._reduce_the_rest)

    def _reduce_the_rest(self) -> None:
        self._backward_ends = False
        self.reduction.start_watched()
        self.reduction.finish()
        unreached = self._names(self.reduction.unreached)
        late = self._names(self.reduction.late)
        self.reduction.clear()
        if unreached:  # on all processes, which all end here
            raise RuntimeError(
                f'No loss reaches the parameters {unreached} on any process, '
                'so that there is no gradient to be averaged: freeze them '
                "(requires_grad=False), or use model_wrapper_cfg=dict(type='"
                "MMDistributedDataParallel', find_unused_parameters=True)"
            )
        if late:
            raise RuntimeError(
                f'The gradients of the parameters {late} came in parts, the '
                'last when the average was under way: leave out with_cp=True, '
                'or what else runs a backward inside the backward (use '
                'local_learning.checkpoint)'
            )

    def _names(self, parameters: List[nn.Parameter]) -> List[str]:
        chosen = set(parameters)
        named = self.module.named_parameters()
        return [name for name, p in named if p in chosen]
