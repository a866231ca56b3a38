# Copyright (c) mmfba authors.
from contextlib import contextmanager
from typing import Any, Iterator

import torch
from mmengine.utils import digit_version
from torch import nn

from mmfba.models.local_model import LocalModel
from mmfba.registry import MODEL_WRAPPERS

from ..shards import shard_loaded_weights
from .local_distributed_data_parallel import LocalDistributedDataParallel
from .weight_shards import WeightShards

OLDEST = '2.6'
"""The first PyTorch that has ``torch.distributed.fsdp.fully_shard``."""


@MODEL_WRAPPERS.register_module()
class LocalFullyShardedDataParallel(LocalDistributedDataParallel):
    """Data parallel training in which each process holds a part of all.

    Weights, gradients and the optimizer's state are sharded by PyTorch's
    ``fully_shard`` (FSDP2). A local module's forward and backward follow each
    other, so that its weights are gathered once a step and freed before the
    next module runs. With ``num_modules=1`` or ``backward='summed'`` all are
    held until the final backward has ended.

    Gradients are averaged in every iteration, also where the optimizer
    wrapper accumulates them. In eval mode all weights are gathered.
    Checkpoints hold whole weights, as any other, and may be resumed in
    another number of processes, or in one.

    Args:
        module (nn.Module): A local model, on its device.
        **options: There are none, see Raises.

    Raises:
        TypeError: If the model does no local learning.
        ValueError: If the model cannot be sharded, PyTorch is too old, or
            an option is given.

    Examples:
        >>> model_wrapper_cfg = dict(
        >>>     type='mmfba.LocalFullyShardedDataParallel')
    """

    def __init__(self, module: nn.Module, **options: Any) -> None:
        for key, value in options.items():
            _refuse(
                f'model_wrapper_cfg.{key}={value!r}',
                'there are no options, and mixed precision is that of '
                "optim_wrapper.type='mmfba.AmpLocalLearningOptimWrapper'",
                f'remove {key}',
            )
        if digit_version(torch.__version__) < digit_version(OLDEST):
            _refuse(
                f'torch={torch.__version__}',
                f'fully_shard begins with {OLDEST}',
                'install a later one, or use '
                "model_wrapper_cfg.type='mmfba.LocalDistributedDataParallel'",
            )
        if not getattr(module, 'is_init', True):
            module.init_weights()  # the Runner's turn is too late
        super().__init__(module)
        _check(self.module)
        self.reduction = WeightShards(self.module)
        shard_loaded_weights(self.module)

    @contextmanager
    def no_sync(self) -> Iterator[None]:
        """Nothing: gradients that stay on a process would be whole ones."""
        yield

    def forward(self, *args, **kwargs) -> Any:
        """As that of :class:`LocalDistributedDataParallel`."""
        if torch.is_grad_enabled():
            with self.module.learner.lend_weights(self.reduction.gather):
                return super().forward(*args, **kwargs)
        self.reduction.gather_all()
        try:
            return self.module(*args, **kwargs)
        finally:
            self.train(self.training)

    def train(self, mode: bool = True) -> 'LocalFullyShardedDataParallel':
        """Free all weights for training, or gather them for the rest.

        All processes call it, whatever number of batches each of them has.
        """
        super().train(mode)
        if mode:
            self.reduction.clear()
        else:
            self.reduction.gather_all()
        return self


def _check(model: LocalModel) -> None:
    """Refuse what needs weights at other times than its local module runs."""
    if model.options.timing == 'two_pass':
        _refuse(
            "model.local_learning.timing='two_pass'",
            'its first pass would need all weights at once',
            "set timing='causal'",
        )
    if any(aux.shared_modules for aux in model.local_aux):
        _refuse(
            "model.local_learning.auxiliary.head.mode='shared'",
            'the main head would be needed by all modules',
            "set mode='slim'",
        )
    owners: dict = {}
    for name, p in model.named_parameters(remove_duplicate=False):
        if not p.dim():
            _refuse(
                f'The parameter {name}',
                'a single number has no parts',
                "set model_wrapper_cfg.type='mmfba."
                "LocalDistributedDataParallel'",
            )
        if owners.setdefault(p, name) != name:
            _refuse(
                f'The parameter {name}',
                f'it is that of {owners[p]}, too',
                "set model_wrapper_cfg.type='mmfba."
                "LocalDistributedDataParallel'",
            )


def _refuse(what: str, reason: str, remedy: str) -> None:
    raise ValueError(
        f'{what}: mmfba.LocalFullyShardedDataParallel cannot shard so, since '
        f'{reason}: {remedy}'
    )
