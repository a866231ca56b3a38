# Copyright (c) mmfba authors.
from typing import Any, Dict, Iterator, List, Sequence, Tuple

import torch
import torch.distributed as dist
from torch import Tensor, nn

from mmfba.models.local_model import LocalModel

PART_BYTES = 25 * 2**20
"""As the buckets of data parallel training."""


class Part(nn.Module):
    """Weights of one local module that travel together.

    ``fully_shard`` puts their shards into the model itself: what holds them
    here has the dicts of the model's own modules. So the model keeps its
    classes, without hooks of FSDP, whose backward would not know of losses in
    the middle of a forward.
    """

    def __init__(self, owners: Sequence[nn.Module]) -> None:
        super().__init__()
        for i, owner in enumerate(owners):
            holder = nn.Module()
            holder._parameters = owner._parameters
            self.add_module(str(i), holder)

    def forward(self, zero: Tensor) -> Tensor:
        """Its backward is what FSDP reduces gradients and frees weights
        after."""
        return zero + 0


class WeightShards:
    """The weights of a local model, a part of each in every process.

    Those of a local module and of its auxiliary network are gathered before
    it runs and kept through its backward, which follows at once; then their
    gradients are averaged, each process keeping its part, and the weights are
    freed.

    To :class:`LocalDistributedDataParallel` it is what
    :class:`GradientReduction` is.

    Attributes:
        parts (list[list[Part]]): Those of each local module; the last are
            needed during the whole step, such as norms of pyramid levels.
        unreached (list[nn.Parameter]): Those without a gradient on any
            process.

    Args:
        model (LocalModel): It is sharded in place.
    """

    def __init__(self, model: LocalModel) -> None:
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import fully_shard

        self.started = frozenset()
        self.late: List[nn.Parameter] = []
        self.unreached: List[nn.Parameter] = []
        self._gathered: List[int] = []
        self._reached: List[Tuple[nn.Module, str, bool]] = []
        self.device = next(model.parameters()).device
        mesh = init_device_mesh(self.device.type, (dist.get_world_size(),))
        self.parts = [list(_parts(owners)) for owners in _owners(model)]
        for part in sum(self.parts, []):
            fully_shard(part, mesh=mesh, reshard_after_forward=False)

    def gather(self, index: int) -> None:
        """Gather the weights of a local module, which is to run."""
        for i in (index,) if index else (len(self.parts) - 1, 0):
            for part in self.parts[i]:
                part.unshard()
            self._gathered.append(i)

    def gather_all(self) -> None:
        """Gather all weights, until they are freed by :meth:`clear`."""
        for part in sum(self.parts, []):
            part.unshard()

    def start(self, _: Sequence[nn.Parameter]) -> None:
        """Average the gradients of the module that ran last."""
        for part in self.parts[self._gathered.pop()]:
            self._reduce(part)

    def watch(self, _: Sequence[nn.Parameter]) -> None:
        """What remains is averaged when the final backward has ended."""

    def start_watched(self) -> None:
        """Average what remains."""
        while self._gathered:
            self.start(())

    def _reduce(self, part: Part) -> None:
        for holder in part.children():
            for name, p in holder._parameters.items():
                if p is None or not p.requires_grad:
                    continue
                self._reached.append((holder, name, p.grad is not None))
                if p.grad is None:  # the others may have one
                    p.grad = torch.zeros_like(p)
        with torch.enable_grad():  # it is off in callbacks of a backward
            zero = torch.zeros((), device=self.device, requires_grad=True)
            part(zero).backward()

    def finish(self) -> None:
        """See which gradients no process has."""
        flags = [reached for _, _, reached in self._reached]
        total = torch.tensor(flags, dtype=torch.int32, device=self.device)
        dist.all_reduce(total)
        if not all(flags):  # else nobody has to wait for the GPU
            for (holder, name, _), n in zip(self._reached, total.tolist()):
                if not n:
                    self.unreached.append(holder._parameters[name])

    def clear(self) -> None:
        """Free all weights, and forget a step that was broken off."""
        for i, parts in enumerate(self.parts):
            for part in parts:
                for p in part.parameters() if i in self._gathered else ():
                    p.grad = None
                part.reshard()
        self._gathered.clear()
        self._reached.clear()
        self.unreached.clear()


def _parts(owners: Sequence[nn.Module]) -> Iterator[Part]:
    part: List[nn.Module] = []
    size = 0
    for owner in owners:
        nbytes = sum(p.nbytes for p in owner.parameters(recurse=False))
        if part and size + nbytes > PART_BYTES:
            yield Part(part)
            part, size = [], 0
        part.append(owner)
        size += nbytes
    if part:
        yield Part(part)


def _owners(model: LocalModel) -> List[List[nn.Module]]:
    """Modules whose own parameters each local module needs, and those that
    are needed during the whole step."""
    network, aside = model.local_backbone, model.ownership.cuts.aside
    count = len(model.ranges)
    index: Dict[Any, int] = {}

    def put(parameters: Any, at: int) -> None:
        for p in parameters:
            index.setdefault(p, at)

    for name in aside:
        put(network.get_submodule(name).parameters(), count)
    for i, (names, aux) in enumerate(
        zip(model.ownership.owned, model.local_aux)
    ):
        put([network.get_parameter(name) for name in sorted(names)], i)
        put(aux.parameters(), i)
    for i, (_, stop) in enumerate(model.ranges):  # for those that are frozen
        for unit in model.anatomy.units[:stop]:
            put([network.get_parameter(name) for name in unit.parameters], i)
    put(model.parameters(), count - 1)

    owners: List[List[nn.Module]] = [[] for _ in range(count + 1)]
    for module in model.modules():
        found = {index[p] for p in module.parameters(recurse=False)}
        if found:
            owners[found.pop() if len(found) == 1 else count].append(module)
    return owners
