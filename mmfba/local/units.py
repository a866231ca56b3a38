# Copyright (c) mmfba authors.
from dataclasses import dataclass, replace
from typing import Dict, Optional, Sequence, Tuple

from torch import nn

from .features import FeatureSpec


@dataclass(frozen=True)
class Unit:
    """The smallest piece of a network that a cut can fall after.

    It knows modules by name, so that a copy of the network has the same
    units.

    Args:
        name (str): Dotted name of its last module but norms and the like;
            ``stem`` for what comes before the first block.
        end (str): Name of the module whose output is the unit's.
        runs (tuple[tuple[str]]): Names of its modules, in the order in which
            they run. Those of a run read the one before and nothing else,
            and nothing else reads what that returned.
        parameters (tuple[str]): Names of their parameters.
        feature (FeatureSpec): What is known of its output.
        kept (int): Bytes that autograd keeps of it for the backward of a
            probe: only their proportions mean something. Defaults to 0.
        skips (tuple[str]): Modules whose output runs past the unit's end, to
            be read later. Defaults to ().
        reader (str): The module that is given its output, a tensor, as it is,
            while nothing else reads it; '' if there is no such. Defaults to
            ''.
        cuttable (bool): Whether a cut may fall after it. Defaults to True.
        tail (bool): Whether it comes behind the last block, as the upsampler
            of super-resolution. Defaults to False.
        trained (bool): Whether one of its parameters is trained. Defaults to
            True.
    """

    name: str
    end: str
    runs: Tuple[Tuple[str, ...], ...]
    parameters: Tuple[str, ...]
    feature: FeatureSpec
    kept: int = 0
    skips: Tuple[str, ...] = ()
    reader: str = ''
    cuttable: bool = True
    tail: bool = False
    trained: bool = True

    @property
    def stage(self) -> int:
        """int: Stage of its output."""
        return self.feature.stage

    @property
    def is_one_module(self) -> bool:
        """bool: Whether it is one module, as a block."""
        return self.runs == ((self.end,),)

    @property
    def frozen(self) -> bool:
        """bool: Whether it has parameters and none is trained."""
        return bool(self.parameters) and not self.trained


@dataclass(frozen=True)
class Anatomy:
    """A network as its units, in the order in which they run.

    Args:
        units (tuple[Unit]): The units.
        outputs (tuple[str, optional]): The unit that each output of the
            network, counted flat, is made of; None if of none.
    """

    units: Tuple[Unit, ...]
    outputs: Tuple[Optional[str], ...]

    @property
    def features(self) -> Dict[str, FeatureSpec]:
        """dict[str, FeatureSpec]: The units' outputs by name."""
        return {unit.name: unit.feature for unit in self.units}

    def bypasses(
        self, outputs_read: Sequence[Optional[str]], recomputed: Sequence[Unit]
    ) -> Tuple[Tuple[str, str], ...]:
        """What the network would keep for longer than is needed, see
        :class:`Cuts`.

        It keeps its outputs until it ends, also those that nobody reads, and
        the input of a module until the module returns, also if that has its
        backward run by then.

        Args:
            outputs_read (Sequence[str, optional]): As ``outputs``; None for
                what nobody outside reads.
            recomputed (Sequence[Unit]): The units that are run again in the
                backward.
        """
        return tuple(
            (unit.end, unit.reader)
            for unit, following in zip(self.units, self.units[1:])
            if unit.reader
            and unit.name not in outputs_read
            and (unit.name in self.outputs or following in recomputed)
        )

    def trained_in(self, network: nn.Module) -> 'Anatomy':
        """The same, with the units that are trained in a network."""
        trains = {n: p.requires_grad for n, p in network.named_parameters()}
        units = (
            replace(u, trained=any(trains[n] for n in u.parameters))
            for u in self.units
        )
        return replace(self, units=tuple(units))

    def first_trained(self) -> int:
        """Index of the first unit that is trained.

        Raises:
            ValueError: If all units are frozen, or a frozen unit follows a
                trained one.
        """
        first = next((i for i, u in enumerate(self.units) if u.trained), None)
        if first is None:
            raise ValueError(
                'All units of the backbone are frozen: there is nothing that '
                'local learning could train'
            )
        for unit in self.units[first:]:
            if unit.frozen:
                raise ValueError(
                    f'Unit {unit.name!r} is frozen although '
                    f'{self.units[first].name!r} before it is trained. '
                    'Frozen units must form a prefix of the backbone '
                    '(frozen_stages)'
                )
        return first
