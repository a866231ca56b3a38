# Copyright (c) mmfba authors.
"""The units of any network, found from one probe forward.

No family is known by name. What counts is which tensors run past a module:
inside a residual block its input does, between two blocks nothing does.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any, Iterator, List, Optional, Sequence, Set, Tuple

from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from .call import Call
from .features import FeatureSpec, spec_of
from .probe import Probe
from .units import Anatomy, Unit

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
class _Piece:
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
        layers = [p.name for p in self.parts if not _is_inert(p.module)]
        return layers[-1] if layers else self.end.name

    @property
    def kind(self) -> Optional[type]:
        """Class of the block that it is; None for single layers."""
        modules = [part.module for part in self.parts if part.children]
        return next((type(m) for m in modules if not _is_list(m)), None)


def find_units(probe: Probe) -> Anatomy:
    """Cut a network into units.

    Args:
        probe (Probe): Its probe forward.

    Returns:
        Anatomy: The units, in the order in which they run.

    Raises:
        TypeError: If it has no sequence of modules that could be cut.
    """
    pieces = _merge(probe, _sequence(probe))
    if not pieces:
        raise TypeError(
            f'{type(probe.network).__name__} has no sequence of modules '
            'between which it could be cut'
        )
    kinds = Counter(piece.kind for piece in pieces)
    del kinds[None]
    first = next((i for i, p in enumerate(pieces) if kinds[p.kind] > 1), 0)
    if first:  # what comes before the first block is the stem
        parts = [part for piece in pieces[:first] for part in piece.parts]
        pieces[first - 1].parts = parts
        pieces = pieces[first - 1 :]
    names = [piece.name for piece in pieces]
    if first:
        names[0] = 'stem'
    features = _features(probe, names, pieces)
    cuttable = _choose_cuttable(probe, names, pieces)
    units = [
        Unit(
            name=name,
            end=piece.end.name,
            runs=_runs(piece.parts),
            parameters=tuple(dict.fromkeys(_parameters(piece))),
            feature=feature,
            skips=tuple(_makers(probe, piece)),
            cuttable=piece in cuttable,
        )
        for name, piece, feature in zip(names, pieces, features)
    ]
    return Anatomy(tuple(units), _outputs(probe, names, pieces))


def _sequence(probe: Probe) -> List[Call]:
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
    calls = list(opened(root))
    while len(calls) <= 2 and len(root.children) == 1:  # a wrapper
        (root,) = root.children
        calls = list(opened(root))
    return calls


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


def _is_inert(module: nn.Module) -> bool:
    has_weights = any(True for _ in module.parameters())
    return isinstance(module, INERT) or not has_weights


def _merge(probe: Probe, calls: Sequence[Call]) -> List[_Piece]:
    """Layers with what they follow, and what no cut can end with the next."""
    crossing = [probe.crossing(call) for call in calls]
    spans = Counter(node for nodes in crossing for node in nodes)
    merged: List[_Piece] = []
    for call, skips in zip(calls, crossing):
        short = any(spans[node] < LONG for node in skips)
        piece = _Piece([call], call, skips, any(call.nodes) and not short)
        if not merged:
            if call.parameters:
                merged.append(piece)
            continue
        last, inert = merged[-1], _is_inert(call.module)
        past = not piece.ends_well or len(skips) > len(last.skips)
        if inert and last.ends_well and past:
            last.parts.append(call)  # beside the path: an output's norm
        elif inert or not last.ends_well:
            piece.parts = last.parts + piece.parts
            merged[-1] = piece
        else:
            merged.append(piece)
    return [piece for piece in merged if piece.ends_well]


def _choose_cuttable(
    probe: Probe, names: Sequence[str], pieces: Sequence[_Piece]
) -> Set[_Piece]:
    """After which a cut may fall.

    Blocks and a stem of several layers, if nothing runs past them; if there
    are few such, blocks past which only skips run that can be detached; if
    there are few of these too, any piece.
    """
    kinds = Counter(piece.kind for piece in pieces)
    stem = pieces[0] if names[0] == 'stem' else None

    def is_block(piece: _Piece) -> bool:
        if piece is stem:
            return len(piece.parts) > 1 or piece.kind is not None
        return piece.kind is not None and kinds[piece.kind] > 1

    possible = [
        piece
        for piece in pieces[:-1]
        if len(piece.end.outputs) == 1
        and all(probe.maker(node) for node in piece.skips)
    ]
    blocks = [piece for piece in possible if is_block(piece)]
    alone = [piece for piece in blocks if not piece.skips]
    chosen = next((c for c in (alone, blocks) if len(c) >= LONG), possible)
    return set(chosen)


def _makers(probe: Probe, piece: _Piece) -> List[str]:
    makers = map(probe.maker, piece.skips)
    return sorted(maker.name for maker in makers if maker is not None)


def _runs(parts: Sequence[Call]) -> Tuple[Tuple[str, ...], ...]:
    runs: List[List[str]] = []
    for before, part in zip([None, *parts], parts):
        if before is not None and part.follows(before):
            runs[-1].append(part.name)
        else:
            runs.append([part.name])
    return tuple(map(tuple, runs))


def _parameters(piece: _Piece) -> Iterator[str]:
    for part in piece.parts:
        for name, _ in part.module.named_parameters():
            yield f'{part.name}.{name}' if part.name else name


def _features(
    probe: Probe, names: Sequence[str], pieces: Sequence[_Piece]
) -> List[FeatureSpec]:
    """Width, stride and stage of what each returns."""
    returned = {t.grad_fn for t in probe.outputs}
    features: List[FeatureSpec] = []
    stage, stride = 0, None
    for name, piece in zip(names, pieces):
        feature = spec_of(name, piece.parts, piece.end, probe.size)
        if name != 'stem':
            stage += feature.stride != stride
            stride = feature.stride
        features.append(feature.at_stage(stage))
        if returned.intersection(piece.end.nodes):
            stride = None  # an output of the network ends a stage
    return features


def _outputs(
    probe: Probe, names: Sequence[str], pieces: Sequence[_Piece]
) -> Tuple[Optional[str], ...]:
    """The unit that each output of the network is made of."""
    made = {
        node: name
        for name, piece in zip(names, pieces)
        for node in piece.end.nodes
    }
    outputs = []
    for tensor in probe.outputs:
        latest = probe.latest(tensor, made)
        outputs.append(None if latest is None else made[latest])
    return tuple(outputs)
