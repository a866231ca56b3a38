# Copyright (c) mmfba authors.
"""Where to cut a network into K local modules.

Every function returns the local modules as ``(start, stop)`` ranges of unit
indices. A unit that is not cuttable goes with the unit that follows it. Units
before ``first`` (the frozen prefix) are in no module: K counts what is
trained. What cannot be cut so is a ``ValueError``.
"""

import difflib
from itertools import accumulate
from typing import Callable, Dict, List, Sequence, Tuple

from .units import Unit

Ranges = List[Tuple[int, int]]


def partition_uniform(
    units: Sequence[Unit], num_modules: int, first: int = 0
) -> Ranges:
    """Cut into K modules of equally many units.

    Where K does not divide the number of units, the later modules get the
    additional ones: the early ones work at high resolution.
    """
    stops = _possible_stops(units, first)
    _check_num_modules(num_modules, len(stops), 'trained units')
    return _ranges(first, _spread(stops, num_modules))


def partition_by_stage(
    units: Sequence[Unit], num_modules: int, first: int = 0
) -> Ranges:
    """Cut at the ends of stages; the stem goes with the first stage.

    With fewer modules than stages, neighbouring stages are trained together,
    the later modules having more.
    """
    ends = stage_ends(units, first)
    _check_num_modules(num_modules, len(ends), 'trained stages')
    return _ranges(first, _spread(ends, num_modules))


def partition_by_memory(
    units: Sequence[Unit], num_modules: int, first: int = 0
) -> Ranges:
    """Cut so that the module that keeps most for the backward keeps least.

    Early modules get few units, for their maps are large; the last one gets
    most. Of several such partitions the one with the earliest cuts.
    """
    until = [0, *accumulate(unit.kept for unit in units)]

    def kept(index: int, start: int, stop: int) -> int:
        return until[stop] - until[start]

    return partition_balanced(units, num_modules, kept, first)


def stage_ends(units: Sequence[Unit], first: int = 0) -> List[int]:
    """Stops of modules that end with a stage, the network's end included."""
    last = len(units) - 1
    return [
        i + 1
        for i, unit in enumerate(units)
        if i >= first
        and (
            i == last
            or (unit.cuttable and 0 < unit.stage != units[i + 1].stage)
        )
    ]


def partition_by_cuts(
    units: Sequence[Unit], cuts: Sequence[str], first: int = 0
) -> Ranges:
    """Cut after the units named, in order."""
    names = [unit.name for unit in units]
    stops = []
    for cut in cuts:
        if cut not in names:
            near = difflib.get_close_matches(str(cut), names, n=3)
            hint = f'did you mean {near}?' if near else f'units: {names}'
            raise ValueError(f'partition: no unit {cut!r}; {hint}')
        index = names.index(cut)
        if index < first:
            raise ValueError(
                f'partition: the cut {cut!r} lies in the frozen prefix, '
                f'which ends before {names[first]!r}: leave it out or '
                'lower frozen_stages'
            )
        if index + 1 == len(units):
            raise ValueError(
                f'partition: {cut!r} is the last unit; the main head trains '
                'it, so no cut can follow'
            )
        if not units[index].cuttable:
            raise ValueError(
                f'partition: {cut!r} is no module of its own; '
                f'the first possible cut is {names[index + 1]!r}'
            )
        if stops and index + 1 <= stops[-1]:
            raise ValueError(
                f'partition: the cut {cut!r} is double or out of order in '
                f'{list(cuts)}; name each unit once, in the order {names}'
            )
        stops.append(index + 1)
    return _ranges(first, stops + [len(units)])


def partition_balanced(
    units: Sequence[Unit],
    num_modules: int,
    peak: Callable[[int, int, int], float],
    first: int = 0,
) -> Ranges:
    """Cut into the K modules whose largest peak is least.

    Of several such partitions the one with the least sum of peaks.
    ``peak(index, start, stop)`` is that of module ``index``, if its units are
    ``start`` to ``stop - 1``.
    """
    stops = _possible_stops(units, first)
    _check_num_modules(num_modules, len(stops), 'trained units')
    # best[stop]: cost and stops of the best partition that ends there.
    best = {first: (0.0, 0.0, ())}
    for index in range(num_modules):
        longer: Dict[int, Tuple[float, float, Tuple[int, ...]]] = {}
        for stop in stops:
            for start, (top, total, chosen) in best.items():
                if start >= stop:
                    continue
                cost = peak(index, start, stop)
                new = (max(top, cost), total + cost, (*chosen, stop))
                longer[stop] = min(new, longer.get(stop, new))
        best = longer
    return _ranges(first, best[len(units)][2])


def _possible_stops(units: Sequence[Unit], first: int) -> List[int]:
    """Stops of the pieces that can be modules, the network's end included."""
    return [
        i + 1
        for i, unit in enumerate(units)
        if i >= first and (unit.cuttable or i + 1 == len(units))
    ]


def _spread(stops: Sequence[int], num_modules: int) -> List[int]:
    """Last stop of each module; the later modules get one more."""
    size, more = divmod(len(stops), num_modules)
    return [
        stops[k * size + max(0, k - (num_modules - more)) - 1]
        for k in range(1, num_modules + 1)
    ]


def _check_num_modules(num_modules: int, limit: int, what: str) -> None:
    if (
        isinstance(num_modules, bool)
        or not isinstance(num_modules, int)
        or not 1 <= num_modules <= limit
    ):
        raise ValueError(
            f'num_modules={num_modules!r}: expected an integer from 1 to '
            f'{limit}, the number of {what} of this backbone'
        )


def _ranges(first: int, stops: Sequence[int]) -> Ranges:
    return list(zip([first, *stops[:-1]], stops))
