# Copyright (c) mmfba authors.
"""What each unit of a backbone costs in training, on the meta device."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate
from typing import Any, Optional

from torch import Tensor, nn

from mmfba.local import Unit
from mmfba.local.call import tensors_of
from mmfba.local.copies import copy_module
from mmfba.local.memory import PeakTracker
from mmfba.models import LocalLearningOptions

from .flop_counter import flop_counter
from .synthetic import make_batch, meta_targets


@dataclass
class UnitCost:
    """Bytes and FLOPs of one unit and of what would train it at a cut.

    Attributes:
        name (str): The unit.
        cuttable (bool): Whether a cut may fall after it.
        kept (int): What its forward leaves alive for the backward, its
            output included.
        backward (int): The most that is alive at once in its backward,
            ``kept`` included, and what its forward leaves there.
        head (int): The most that the auxiliary network at a cut after it
            adds; for the last unit the main neck and head.
        output (int): Its output.
        gradients (int): Of its parameters.
        flops (int): Of its forward.
    """

    name: str
    cuttable: bool = True
    kept: int = 0
    backward: int = 0
    head: int = 0
    output: int = 0
    gradients: int = 0
    flops: int = 0


@dataclass(frozen=True)
class UnitCosts:
    """The costs of all units, and what they say of a module's peak.

    Attributes:
        units (List[UnitCost]): In order.
        static (int): Parameters and buffers of the plain network, the
            images, and the targets that heads share.
        read (FrozenSet[str]): Units whose output the main neck reads.
    """

    units: list[UnitCost]
    static: int
    read: frozenset[str]

    def peak(self, start: int, stop: int) -> int:
        """Predicted peak of the module of units ``start`` to ``stop - 1``."""
        kept = [0, *accumulate(u.kept for u in self.units[start:stop])]
        own = max(
            before + unit.backward
            for before, unit in zip(kept, self.units[start:stop])
        )
        alive = self.static + sum(u.gradients for u in self.units[:start])
        if start:
            alive += self.units[start - 1].output
        alive += sum(
            u.output
            for u in self.units[: max(start - 1, 0)]
            if u.name in self.read
        )
        if stop == len(self.units):
            # Gradients of what the main neck reads of its own module.
            alive += sum(
                u.output for u in self.units[start:-1] if u.name in self.read
            )
        return alive + max(own, kept[-1] + self.units[stop - 1].head)


def measure_units(
    model: nn.Module,
    options: LocalLearningOptions,
    batch_size: int,
    shape: tuple[int, int],
    checkpoint: bool,
) -> UnitCosts:
    """Measure every unit as a local module of its own.

    Args:
        model (nn.Module): A local model. It is copied, not changed.
        options (LocalLearningOptions): Its options; those that depend on the
            partition do not matter.
        batch_size (int): Images in the batch.
        shape (tuple[int, int]): Height and width of the network's input.
        checkpoint (bool): Whether units are run again in the backward.

    Returns:
        UnitCosts: Bytes are rounded to 512 per storage.
    """
    twin = copy_module(model).to('meta').train()
    twin.local_aux = None
    plain = list(twin.parameters()) + list(twin.buffers())
    anatomy = twin.anatomy
    first = anatomy.first_trained()
    cuts = [u.name for u in anatomy.units[first:-1] if u.cuttable]
    options = replace(options, loss_weight=1.0, checkpoint=checkpoint)
    twin.init_local_learning(options.with_cuts(cuts))
    twin.to('meta')
    images, samples = make_batch(twin, batch_size, shape, 'meta')
    recorder = _Recorder(anatomy.units, twin)
    lent = twin.learner.lend_backward(Tensor.backward)
    with meta_targets(twin), recorder, recorder.tracker, lent:
        recorder.tracker.track(images, plain)
        static = recorder.tracker.current
        losses = twin(images, samples, mode='loss')
        twin.parse_losses(losses)[0].backward()
        recorder.end_phase()
    read = frozenset(name for name in twin.outputs_read if name)
    return UnitCosts(recorder.costs, static + recorder.shared, read)


class _Recorder(ExitStack):
    """Watches units run, and what follows them, in phases."""

    def __init__(self, units: Sequence[Unit], model: nn.Module) -> None:
        super().__init__()
        self.tracker = PeakTracker()
        self.costs = [_known_costs(unit, model) for unit in units]
        self._alive = [0] * len(units)  # before each unit's forward
        self._phase: Optional[tuple[int, str]] = None
        targets = (
            getattr(model, f'{kind}_targets', None)
            for kind in ('anchor', 'point')
        )
        self._targets = [found for found in targets if found is not None]
        self.shared = 0  # by all heads of a step
        self._begun: list[int] = []
        module = model.local_backbone.get_submodule
        for i, unit in enumerate(units):
            hooks = (
                module(unit.runs[0][0]).register_forward_pre_hook(
                    partial(self._begins, i)
                ),
                module(unit.end).register_forward_hook(partial(self._ends, i)),
            )
            for hook in hooks:
                self.callback(hook.remove)

    def _begins(self, index: int, *_: Any) -> None:
        if index in self._begun:  # it runs again for some images
            return
        self._begun.append(index)
        self.end_phase()
        self._alive[index] = self.tracker.current
        self._flops = flop_counter()
        self._flops.__enter__()

    def _ends(self, index: int, module: Any, args: Any, out: Any) -> None:
        cost, (out, *_) = self.costs[index], tensors_of(out)
        if cost.output:
            return
        self._flops.__exit__(None, None, None)
        shared = sum(targets.nbytes for targets in self._targets)
        self.shared = max(self.shared, shared)
        cost.flops = self._flops.get_total_flops()
        cost.kept = self.tracker.current - self._alive[index]
        cost.output = out.nbytes
        if out.requires_grad:
            out.register_hook(lambda _: self._start_phase(index, 'backward'))
        self._start_phase(index, 'head')

    def _start_phase(self, index: int, name: str) -> None:
        self.end_phase()
        self._phase = index, name

    def end_phase(self) -> None:
        """Write down the peak since the phase began."""
        if self._phase is not None:
            index, name = self._phase
            cost = self.costs[index]
            peak = self.tracker.peak - self._alive[index]
            if name == 'backward':
                cost.backward = peak
            else:
                cost.head = peak - cost.kept
        self._phase = None
        self.tracker.reset_peak()


def _known_costs(unit: Unit, model: nn.Module) -> UnitCost:
    parameters = map(model.local_backbone.get_parameter, unit.parameters)
    return UnitCost(
        unit.name,
        unit.cuttable,
        gradients=sum(p.nbytes for p in parameters if p.requires_grad),
    )
