# Copyright (c) mmfba authors.
"""Every parameter of the network that end-to-end training trains has exactly
one owner. (A main head that auxiliary networks share is no part of it.)"""

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any, FrozenSet, List, Sequence, Set, Tuple

from torch import Tensor

from .call import tensors_of
from .interception import Cuts, Interception
from .isolation import graph_leaves, graph_of
from .probe import Probe
from .units import Unit


@dataclass(frozen=True)
class Ownership:
    """Which local module trains which parameter of the network.

    Attributes:
        cuts (Cuts): What is cut, and what is detached for it.
        owned (tuple[frozenset[str]]): Names of the parameters that each local
            module but the last trains. All others learn from the main loss.
    """

    cuts: Cuts
    owned: Tuple[FrozenSet[str], ...]


def find_owners(probe: Probe, units: Sequence[Unit]) -> Ownership:
    """Run the probed network cut after some units, and see what each loss
    would reach, and what has to be detached for it.

    Raises:
        ValueError: If a parameter would be trained by no loss or by several;
            it names the parameter and the cuts.
    """
    ends = tuple(unit.end for unit in units)
    makers = {maker for unit in units for maker in unit.skips}
    cuts = Cuts(ends, skips=tuple(sorted(makers.difference(ends))))
    names = {p: name for name, p in probe.network.named_parameters()}
    plain = graph_leaves(*probe.outputs) & set(names)
    for _ in range(2):
        owned, outputs = _run_cut(probe, cuts)
        early = set().union(*owned)
        closed = [i for i, o in enumerate(outputs) if graph_leaves(o) & early]
        live = [o for i, o in enumerate(outputs) if i not in closed]
        lost = plain - early - graph_leaves(*live)
        cuts = replace(cuts, closed=tuple(closed))
        if not lost:
            break
        parents = {names[p].rpartition('.')[0] for p in lost}
        cuts = replace(cuts, aside=tuple(sorted(parents)))
    _check(cuts, owned, lost, names)
    return Ownership(
        cuts, tuple(frozenset(names[p] for p in own) for own in owned)
    )


def _run_cut(
    probe: Probe, cuts: Cuts
) -> Tuple[List[Set[Tensor]], List[Tensor]]:
    """What each local loss would reach, and the network's live outputs."""
    reached: List[Set[Tensor]] = []
    parameters = set(probe.network.parameters())
    seen: Set[Any] = set()

    def on_cut(index: int, out: object) -> None:
        roots = list(tensors_of(out))
        reached.append(graph_leaves(*roots) & parameters)
        _check_meetings(cuts.modules[index], roots, seen)

    with Interception(probe.network, replace(cuts, closed=()), on_cut):
        return reached, probe.run()


def _check_meetings(end: str, roots: Sequence[Tensor], seen: Set[Any]) -> None:
    """Refuse a graph that a backward would pass twice.

    Gradients of a leaf go on to what it stands for when the backward that
    reached it has ended.
    """
    todo = [[getattr(root, 'made_of', root) for root in roots]]
    edges: Set[Tensor] = set()
    while todo:
        nodes, leaves = graph_of(*todo.pop())
        if nodes & seen:
            raise ValueError(
                f'partition: what runs past the cut after {end!r} was '
                'computed beside the cut module, of the same features: '
                'choose other cuts'
            )
        seen |= nodes
        new = {leaf for leaf in leaves - edges if hasattr(leaf, 'made_of')}
        edges |= new
        todo += [[leaf.made_of] for leaf in new]


def _check(
    cuts: Cuts,
    owned: Sequence[Set[Tensor]],
    lost: Set[Tensor],
    names: dict,
) -> None:
    counts = Counter(p for own in owned for p in own)
    twice = {p for p, count in counts.items() if count > 1}
    for parameters, how in ((lost, 'no loss'), (twice, 'several losses')):
        if parameters:
            found = sorted(names[p] for p in parameters)
            raise ValueError(
                f'partition: with cuts after {list(cuts.modules)}, {how} '
                f'would train {found[:3]}: choose other cuts'
            )
