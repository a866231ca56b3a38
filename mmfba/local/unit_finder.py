# Copyright (c) mmfba authors.
"""The units of any network, found from one probe forward.

No family is known by name. What counts is which tensors run past a module:
inside a residual block its input does, between two blocks nothing does.
"""

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Dict, Iterator, List, Optional, Sequence, Set, Tuple

from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from .features import FeatureSpec
from .probe import Call, Probe

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
class Unit:
    """The smallest piece of a network that a cut can fall after.

    Attributes:
        name (str): Dotted name of its last module but norms and the like;
            ``stem`` for what comes before the first block.
        end (Call): The call whose output is the unit's.
        parts (list[Call]): The calls that it is made of, in order.
        channels (int): Of its output.
        grid (tuple[int, int]): Height and width of its output's map in the
            probe.
        stride (int): Pixels of the input for one of the map.
        tokens (int): Tokens before those of the map, such as a class token;
            -1 where the output is a map itself.
        channels_last (bool): Whether that map is (N, H, W, C).
        stage (int): From 1, with every change of the stride and behind every
            output of the network; 0 for the stem.
        skips (set): Nodes that run past its end to later units.
        cuttable (bool): Whether a cut may fall after it.
    """

    name: str
    end: Call
    parts: List[Call]
    channels: int = 0
    grid: Tuple[int, int] = (1, 1)
    stride: int = 0
    tokens: int = -1
    channels_last: bool = False
    stage: int = 0
    skips: Set = field(default_factory=set)
    cuttable: bool = False

    def parameters(self) -> Iterator[nn.Parameter]:
        """Yield the parameters of its parts."""
        for part in self.parts:
            yield from part.parameters

    @property
    def trained(self) -> bool:
        """bool: Whether one of them is trained."""
        return any(p.requires_grad for p in self.parameters())


def find_units(probe: Probe) -> List[Unit]:
    """Cut a network into units.

    Args:
        probe (Probe): Its probe forward.

    Returns:
        list[Unit]: In the order in which they run.

    Raises:
        TypeError: If it has no sequence of modules that could be cut.
    """
    pieces = _merge(probe, _pieces(probe))
    if not pieces:
        raise TypeError(
            'The network has no sequence of modules between which it could '
            'be cut'
        )
    units = _with_stem(pieces)
    _measure(probe, units)
    _mark_cuttable(probe, units)
    return units


def feature_specs(units: Sequence[Unit]) -> Dict[str, FeatureSpec]:
    """What is known of the output of each unit, by its name."""
    return {
        unit.name: FeatureSpec(
            unit.name,
            unit.stage,
            unit.channels,
            unit.stride,
            unit.end.name,
            unit.tokens,
            unit.channels_last,
        )
        for unit in units
    }


def _pieces(probe: Probe) -> List[Call]:
    """The calls that follow one another, containers opened."""
    blocks = {
        type(call.module)
        for call in probe.root.walk()
        if not _is_list(call.module) and _branches(probe, call)
    } - {type(probe.root.module)}

    def opened(call: Call) -> Iterator[Call]:
        for child in call.children:
            if not probe.once(child) or not child.outputs:
                continue
            if type(child.module) not in blocks and _is_container(
                probe, child
            ):
                yield from opened(child)
            else:
                yield child

    root = probe.root
    pieces = list(opened(root))
    while len(pieces) <= 2 and len(root.children) == 1:  # a wrapper
        (root,) = root.children
        pieces = list(opened(root))
    return pieces


def _branches(probe: Probe, call: Call) -> bool:
    """Whether a tensor made inside runs past a child: a residual path."""
    if not call.children:
        return False
    outside = probe.crossing(call).union(call.nodes)
    return any(
        probe.crossing(child) - outside
        for child in call.children
        if child.exit < call.exit
    )


def _is_list(module: nn.Module) -> bool:
    return isinstance(module, (nn.Sequential, nn.ModuleList))


def _is_container(probe: Probe, call: Call) -> bool:
    """Whether a module runs others one after the other, more than a layer."""
    layers = [c for c in call.children if not _is_inert(c.module)]
    several = len(layers) > 1 or any(c.children for c in layers)
    return (
        several
        and all(probe.once(child) for child in call.children)
        and any(map(_is_list, (call.module, *call.module.children())))
        and not _branches(probe, call)
    )


@dataclass(eq=False)
class _Piece:
    parts: List[Call]
    end: Call
    skips: Set
    ends_well: bool


def _merge(probe: Probe, calls: Sequence[Call]) -> List[_Piece]:
    """Layers with what they follow, and what no cut can end with the next."""
    crossing = [probe.crossing(call) for call in calls]
    spans = Counter(node for nodes in crossing for node in nodes)
    merged: List[_Piece] = []
    for call, skips in zip(calls, crossing):
        short = any(spans[node] < LONG for node in skips)
        piece = _Piece([call], call, skips, any(call.nodes) and not short)
        last = merged[-1] if merged else None
        if last is None:
            if call.parameters:
                merged.append(piece)
        elif _is_inert(call.module) and last.ends_well and (
            not piece.ends_well or len(skips) > len(last.skips)
        ):
            last.parts.append(call)  # beside the path: an output's norm
        elif _is_inert(call.module) or not last.ends_well:
            piece.parts = last.parts + piece.parts
            merged[-1] = piece
        else:
            merged.append(piece)
    return [piece for piece in merged if piece.ends_well]


def _is_inert(module: nn.Module) -> bool:
    return isinstance(module, INERT) or not any(
        True for _ in module.parameters()
    )


def _with_stem(pieces: Sequence[_Piece]) -> List[Unit]:
    """Units; what comes before the first block is one, the stem."""
    kinds = Counter(_kind(piece.parts) for piece in pieces)
    del kinds[None]
    first = next(
        (i for i, p in enumerate(pieces) if kinds[_kind(p.parts)] > 1), 0
    )
    units = [
        Unit(_name(piece), piece.end, piece.parts, skips=piece.skips)
        for piece in pieces
    ]
    if not first:
        return units
    stem = units[first - 1]
    stem.name = 'stem'
    stem.parts = [part for unit in units[:first] for part in unit.parts]
    return units[first - 1 :]


def _name(piece: _Piece) -> str:
    layers = [p.name for p in piece.parts if not _is_inert(p.module)]
    return layers[-1] if layers else piece.end.name


def _kind(parts: Sequence[Call]) -> Optional[type]:
    """Class of the block that these are; None for single layers."""
    modules = [p.module for p in parts if p.children]
    return next((type(m) for m in modules if not _is_list(m)), None)


def _measure(probe: Probe, units: Sequence[Unit]) -> None:
    """Find width, map and stage of each."""
    returned = {t.grad_fn for t in probe.outputs}
    stage, stride = 0, None
    for unit in units:
        _measure_output(unit, probe.inputs.shape[-2:])
        if unit.name != 'stem':
            if unit.stride != stride:
                stage += 1
            stride = unit.stride
        unit.stage = stage
        if returned.intersection(unit.end.nodes):
            stride = None


def _measure_output(unit: Unit, size: Tuple[int, int]) -> None:
    shape = unit.end.outputs[0].shape
    if len(shape) == 4:
        last = unit.channels_last = shape[1] == shape[2] != shape[3]
        unit.channels = shape[3] if last else shape[1]
        unit.grid = tuple(shape[1:3] if last else shape[2:])
    elif len(shape) == 3:
        unit.channels = shape[2]
        unit.grid, unit.tokens = _grid(unit, shape[1])
    else:
        unit.channels = shape[-1]
    unit.stride = max(1, round(size[0] / unit.grid[0]))


def _grid(unit: Unit, length: int) -> Tuple[Tuple[int, int], int]:
    """Height and width of a map of tokens, and how many are none of it."""
    for part in reversed(unit.parts):
        for height, width in reversed(part.grids):
            if 0 <= length - height * width <= 8:
                return (height, width), length - height * width
    side = math.isqrt(length)
    return (side, side), length - side * side


def _mark_cuttable(probe: Probe, units: Sequence[Unit]) -> None:
    """Choose after which units a cut may fall.

    Blocks and a stem of several layers, if nothing runs past them; if there
    are few such, blocks past which a skip runs that can be detached; if there
    are few of these too, any unit.
    """
    kinds = Counter(_kind(unit.parts) for unit in units)

    def block(unit: Unit) -> bool:
        kind = _kind(unit.parts)
        if unit.name == 'stem':
            return len(unit.parts) > 1 or kind is not None
        return kind is not None and kinds[kind] > 1

    def alone(unit: Unit) -> bool:
        return not unit.skips

    def closable(unit: Unit) -> bool:
        return all(probe.maker(node) for node in unit.skips)

    rungs = (
        lambda u: block(u) and alone(u),
        lambda u: block(u) and closable(u),
        alone,
        closable,
    )
    possible = [u for u in units[:-1] if len(u.end.outputs) == 1]
    for fits in rungs:
        chosen = [unit for unit in possible if fits(unit)]
        if len(chosen) >= LONG or fits is rungs[-1]:
            for unit in chosen:
                unit.cuttable = True
            return
