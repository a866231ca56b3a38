# Copyright (c) mmfba authors.
"""The time of one step on many GPUs, by a model that docs/scaling.md tells."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil, log2

FLOPS = 100e12  # a second, of one GPU
LATENCY = 20e-6  # seconds, of one message
NODE = 8  # GPUs
NVLINK = 450e9  # bytes a second, of one GPU
BUCKET = 25 * 2**20  # bytes, as DistributedDataParallel has it


@dataclass
class Module:
    """A local module with its auxiliary network, or the last one with the
    main head.

    Attributes:
        plain (float): FLOPs of its forward in plain training.
        local (float): FLOPs of its forward and backward in local learning.
        plain_bytes (int): Its parameters in plain training.
        local_bytes (int): The same with the auxiliary network's.
    """

    plain: float
    local: float
    plain_bytes: int
    local_bytes: int


class Step:
    """One step: work of the GPU, and of the wire, which runs beside it.

    Args:
        gpus (int): How many there are.
        network (float): Bytes a second between nodes, of one node.
    """

    def __init__(self, gpus: int, network: float) -> None:
        self.gpus, self.network = gpus, network
        self.gpu = self.wire = 0.0

    @property
    def seconds(self) -> float:
        """float: When both are done."""
        return max(self.gpu, self.wire)

    def compute(self, flops: float) -> None:
        self.gpu += flops / FLOPS

    def send(self, size: float, rounds: int) -> float:
        """Reduce or gather in rings, which takes one round, or both, which
        takes two; of what was sent it begins with what the GPU has now.
        Returns when it is done."""
        n, nodes = self.gpus, ceil(self.gpus / NODE)
        inside = min(n, NODE)
        seconds = size * (inside - 1) / inside / NVLINK
        seconds += size * (nodes - 1) / nodes / self.network
        seconds += LATENCY * ceil(log2(n)) if n > 1 else 0
        self.wire = max(self.wire, self.gpu) + rounds * seconds
        return self.wire

    def wait(self, moment: float) -> None:
        self.gpu = max(self.gpu, moment)


def ddp(modules: list[Module], step: Step) -> None:
    """Plain training; buckets travel while the backward runs."""
    step.compute(sum(m.plain for m in modules))
    for module in reversed(modules):
        _backward(step, module.plain, module.plain_bytes)


def local_ddp(modules: list[Module], step: Step) -> None:
    """Local learning; the gradients of a module travel while the next one
    runs, those of the last in buckets while its backward runs."""
    *others, last = modules
    for module in others:
        step.compute(module.local)
        step.send(module.local_bytes, 2)
    step.compute(last.local / 3)
    _backward(step, last.local / 3, last.local_bytes)


def _backward(step: Step, flops: float, size: int) -> None:
    """Of a module with a forward of so many FLOPs, bucket by bucket."""
    for part_flops, part_size in _parts([(flops, size)]):
        step.compute(2 * part_flops)
        step.send(part_size, 2)


def fsdp(modules: list[Module], step: Step) -> None:
    """Plain training; parts of the parameters are gathered for the forward
    and again for the backward, each while the part before it runs."""
    parts = _parts((m.plain, m.plain_bytes) for m in modules)
    backward = [(2 * flops, size) for flops, size in reversed(parts)]
    there = step.send(parts[0][1], 1)
    for index, (flops, _) in enumerate(parts):
        there = _gather_next_and_run(step, parts, index, there, flops)
    there = step.gpu  # what the forward ended with has stayed
    for index, (flops, size) in enumerate(backward):
        there = _gather_next_and_run(step, backward, index, there, flops)
        step.send(size, 1)


def local_fsdp(modules: list[Module], step: Step) -> None:
    """Local learning; a part stays from its forward to its backward, which
    follows in the same module: each is gathered once."""
    parts = [_parts([(m.local / 3, m.local_bytes)]) for m in modules]
    order = [part for module in parts for part in module]
    there, index = step.send(order[0][1], 1), 0
    for module in parts:
        for flops, _ in module:
            there = _gather_next_and_run(step, order, index, there, flops)
            index += 1
        for flops, size in reversed(module):
            step.compute(2 * flops)
            step.send(size, 1)


def _parts(modules: Iterable[tuple[float, int]]) -> list[tuple[float, float]]:
    """Forward FLOPs and bytes of parts of at most a bucket each."""
    return [
        (flops / count, size / count)
        for flops, size in modules
        for count in [ceil(size / BUCKET)]
        for _ in range(count)
    ]


def _gather_next_and_run(
    step: Step,
    parts: list[tuple[float, float]],
    index: int,
    there: float,
    flops: float,
) -> float:
    """Run a part once it is there; returns when the next one will be."""
    step.wait(there)
    if index + 1 < len(parts):
        there = step.send(parts[index + 1][1], 1)
    step.compute(flops)
    return there


WAYS = {
    'DDP': ddp,
    'LocalDDP': local_ddp,
    'FSDP2': fsdp,
    'local FSDP2': local_fsdp,
}
