# Copyright (c) mmfba authors.
"""A network's modules in the order in which they run, layers with what they
follow: what units are made of."""

from collections import Counter
from dataclasses import dataclass
from typing import Any, List, Optional, Sequence, Set

from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from .call import Call
from .probe import Probe

INERT = (
    _NormBase,
    nn.LayerNorm,
    nn.GroupNorm,
    nn.modules.dropout._DropoutNd,
    nn.modules.pooling._MaxPoolNd,
    nn.modules.pooling._AvgPoolNd,
)
"""Layers that go with what comes before them, as all without weights do."""

LONG = 3
"""A tensor that runs past so many units is a long skip, of the network; one
that runs past fewer is a part of a block."""


@dataclass(eq=False)
class Piece:
    """Calls that follow one another, which become a unit.

    Attributes:
        parts (list[Call]): The calls.
        end (Call): The one whose output is the piece's.
        skips (set): Nodes of the graph that run past its end.
        ends_well (bool): Whether these are long skips, if any.
    """

    parts: List[Call]
    end: Call
    skips: Set[Any]
    ends_well: bool

    @property
    def name(self) -> str:
        """str: Name of its last module but norms and the like."""
        layers = [p.name for p in self.parts if not is_inert(p.module)]
        return layers[-1] if layers else self.end.name

    @property
    def kind(self) -> Optional[type]:
        """type, optional: Class of the block that it is; None for single
        layers."""
        modules = [part.module for part in self.parts if part.children]
        return next((type(m) for m in modules if not is_list(m)), None)


def merge(probe: Probe, calls: Sequence[Call]) -> List[Piece]:
    """Layers with what they follow, and what no cut can end with the next, in
    the order of the calls."""
    crossing = [probe.crossing(call) for call in calls]
    spans = Counter(node for nodes in crossing for node in nodes)
    merged: List[Piece] = []
    for call, skips in zip(calls, crossing):
        short = any(spans[node] < LONG for node in skips)
        piece = Piece([call], call, skips, any(call.nodes) and not short)
        if not merged:
            if any(True for _ in call.module.parameters()):
                merged.append(piece)
            continue
        last, inert = merged[-1], is_inert(call.module)
        past = not piece.ends_well or len(skips) > len(last.skips)
        if inert and last.ends_well and past:
            last.parts.append(call)  # beside the path: an output's norm
        elif inert or not last.ends_well:
            piece.parts = last.parts + piece.parts
            merged[-1] = piece
        else:
            merged.append(piece)
    return [piece for piece in merged if piece.ends_well]


def is_inert(module: nn.Module) -> bool:
    """Whether it goes with what comes before it."""
    has_weights = any(True for _ in module.parameters())
    return isinstance(module, INERT) or not has_weights


def is_list(module: nn.Module) -> bool:
    """Whether it is a list of other modules."""
    return isinstance(module, (nn.Sequential, nn.ModuleList))
