# Copyright (c) mmfba authors.
"""What two processes hold and send in a training step (gloo, on CPUs).

Usage: python benchmarks/sharding.py [OUT.json]
"""

import logging
import sys
from collections import Counter
from pathlib import Path
from typing import Any, Callable, Dict, Tuple
from unittest.mock import patch

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from mmengine.hub import get_config
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import OptimWrapper, ZeroRedundancyOptimizer
from torch import Tensor, nn
from torch.distributed.algorithms.ddp_comm_hooks import default_hooks
from torch.distributed.fsdp import fully_shard
from torch.utils._pytree import tree_map_only

from mmfba.analysis.environment import write_result
from mmfba.analysis.synthetic import make_batch
from mmfba.engine.model_wrappers import (
    LocalDistributedDataParallel,
    LocalFullyShardedDataParallel,
)
from mmfba.engine.optim_wrappers import LocalLearningOptimWrapper
from mmfba.engine.shards import is_shard
from mmfba.local.memory import PeakTracker
from mmfba.local_config import localise
from mmfba.models.build_model import build_model

PROCESSES = 2
PORT = 29641
OUT = Path(__file__).parent / 'results/distributed/sharding.json'
CONFIG = 'mmpretrain::swin_transformer/swin-tiny_16xb64_in1k.py'
ARMS = (
    ('DDP', 1),
    ('FSDP2', 1),
    ('local DDP', 4),
    ('local DDP, ZeRO-1', 4),
    ('local FSDP2', 4),
    ('local FSDP2', 8),
)
BLOCKS = ('SwinBlock', 'PatchMerging', 'PatchEmbed', 'LinearClsHead')
SENT = dict(
    all_reduce=2.0,
    all_gather_into_tensor=1.0,
    reduce_scatter_tensor=1.0,
    broadcast=1.0,
)
"""What a process sends of a tensor by a ring, times P / (P - 1)."""


def main() -> None:
    """Measure all arms and write the JSON."""
    out = sys.argv[1] if sys.argv[1:] else str(OUT)
    mp.spawn(_measure_all, args=(out,), nprocs=PROCESSES)


def _measure_all(rank: int, out: str) -> None:
    torch.set_num_threads(1)
    logging.disable(logging.WARNING)
    dist.init_process_group(
        'gloo',
        init_method=f'tcp://127.0.0.1:{PORT}',
        rank=rank,
        world_size=PROCESSES,
    )
    rows = [_measure(name, num_modules) for name, num_modules in ARMS]
    if rank == 0:
        write_result(
            out,
            'cpu',
            indent=2,
            config=CONFIG,
            processes=PROCESSES,
            images=1,
            rows=rows,
        )
    dist.barrier()
    dist.destroy_process_group()


def _measure(name: str, num_modules: int) -> Dict[str, Any]:
    torch.manual_seed(0)
    model, step = _training(name, num_modules)
    counts: Counter = Counter()
    gathered = _watch_weights(model)
    with Peak(granularity=1) as peak:
        step()  # it makes the optimizer's state
        gathered.clear()
        peak.reset_peak()
        between = peak.current
        with _counting(counts):
            step()
    local = [_local(p) for p in model.parameters()]
    total = sum(p.numel() for p in model.parameters())
    shards = sum(p.nbytes for p in local) if 'FSDP2' in name else 0
    ring = (PROCESSES - 1) / PROCESSES
    row = dict(
        name=name,
        num_modules=num_modules,
        parameters=total,
        weights=shards + max(gathered),
        between_steps=between,
        peak=peak.peak,
        gathered=counts['all_gather_into_tensor'] / total,
        scattered=counts['reduce_scatter_tensor'] / total,
        reduced=counts['all_reduce'] / total,
        sent=round(sum(4 * ring * SENT[k] * n for k, n in counts.items())),
    )
    print(row, flush=True)
    return row


def _training(
    name: str, num_modules: int
) -> Tuple[nn.Module, Callable[[], Any]]:
    """A model, and a training step of it."""
    cfg = get_config(CONFIG)
    cfg.model.train_cfg = None  # no mixing of images
    if num_modules > 1:
        cfg = localise(cfg, num_modules=num_modules)
    model = build_model(cfg).train()
    images, samples = make_batch(model, 1, (224, 224), 'cpu')
    data = dict(inputs=list(images), data_samples=samples)
    wrapper = LocalLearningOptimWrapper if num_modules > 1 else OptimWrapper
    net = model
    if name == 'DDP':
        net = MMDistributedDataParallel(model, broadcast_buffers=False)
        net.register_comm_hook(None, default_hooks.allreduce_hook)
    elif name == 'FSDP2':
        for module in model.modules():
            if type(module).__name__ in BLOCKS:
                fully_shard(module)
        fully_shard(model)
    elif name == 'local FSDP2':
        net = LocalFullyShardedDataParallel(model)
    else:
        net = LocalDistributedDataParallel(model)
    parameters, options = list(net.parameters()), dict(lr=1e-3)
    if 'ZeRO-1' in name:
        optimizer = ZeroRedundancyOptimizer(parameters, 'AdamW', **options)
    else:
        optimizer = torch.optim.AdamW(parameters, **options)
    optim_wrapper = wrapper(optimizer=optimizer)
    return model, lambda: net.train_step(data, optim_wrapper)


def _watch_weights(model: nn.Module) -> list:
    """Bytes of whole weights, wherever a layer runs or gets its gradient."""
    found: list = []

    def look(*_: Any) -> None:
        whole = (p.nbytes for p in model.parameters() if not is_shard(p))
        found.append(sum(whole))

    def forward(module: nn.Module, args: Any, out: Any) -> None:
        look()
        if isinstance(out, Tensor) and out.requires_grad:
            out.register_hook(look)

    for module in model.modules():
        if list(module.parameters(recurse=False)):
            module.register_forward_hook(forward)
    return found


class Peak(PeakTracker):
    """It sees the shards, which each process has, of DTensors."""

    def _see(self, obj: Any) -> None:
        super()._see(tree_map_only(Tensor, _local, obj))


def _local(tensor: Tensor) -> Tensor:
    return tensor._local_tensor if is_shard(tensor) else tensor


def _counting(counts: Counter) -> Any:
    """Elements that collectives are given, by their name."""
    places = dict(
        all_gather_into_tensor='output_tensor', reduce_scatter_tensor='input'
    )

    def counted(name: str) -> Callable[..., Any]:
        plain = getattr(dist, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            index = int(name == 'reduce_scatter_tensor')
            key = places.get(name, 'tensor')
            tensor = args[index] if len(args) > index else kwargs[key]
            counts[name] += tensor.numel()
            return plain(*args, **kwargs)

        return call

    return patch.multiple(dist, **{name: counted(name) for name in SENT})


if __name__ == '__main__':
    main()
