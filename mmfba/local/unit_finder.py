# Copyright (c) mmfba authors.
"""The units of any network, found from one probe forward.

No family is known by name. What counts is which tensors run past a module:
inside a residual block its input does, between two blocks nothing does.
"""

from collections import Counter
from dataclasses import replace
from typing import Iterator, List, Optional, Sequence, Set, Tuple

from .call import Call
from .features import FeatureSpec, spec_of
from .pieces import LONG, Piece, is_inert, is_list, merge
from .probe import Probe
from .units import Anatomy, Unit


def find_units(probe: Probe) -> Anatomy:
    """Cut a network into units, in the order in which they run.

    Raises:
        TypeError: If it has no sequence of modules that could be cut.
    """
    pieces = merge(probe, _sequence(probe))
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
    blocks = _blocks(probe, names, pieces)
    last_block = blocks[-1] if blocks else len(pieces)
    cuttable = _choose_cuttable(probe, pieces, blocks)
    units = [
        Unit(
            name=name,
            end=piece.end.name,
            runs=_runs(probe, piece.parts),
            parameters=tuple(dict.fromkeys(_parameters(piece))),
            feature=feature,
            kept=kept,
            skips=tuple(_makers(probe, piece)),
            reader=_reader(probe, piece, following),
            cuttable=piece in cuttable,
            tail=i > last_block,
        )
        for i, (name, piece, feature, kept, following) in enumerate(
            zip(names, pieces, features, _kept(pieces), [*pieces[1:], None])
        )
    ]
    return Anatomy(tuple(units), _outputs(probe, names, pieces))


def _sequence(probe: Probe) -> List[Call]:
    """The calls that follow one another, containers opened."""
    blocks = {
        type(call.module)
        for call in probe.root.walk()
        if not is_list(call.module) and _branches(probe, call)
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


def _is_container(probe: Probe, call: Call) -> bool:
    """Whether a module runs others one after the other, more than a layer."""
    layers = [c for c in call.children if not is_inert(c.module)]
    several = len(layers) > 1 or any(c.children for c in layers)
    return (
        several
        and all(probe.once(child) for child in call.children)
        and any(map(is_list, (call.module, *call.module.children())))
        and not _branches(probe, call)
    )


def _blocks(
    probe: Probe, names: Sequence[str], pieces: Sequence[Piece]
) -> List[int]:
    """Which pieces are blocks, or a stem of several layers.

    What works at a higher resolution than the input is none: it upsamples.
    """
    kinds = Counter(piece.kind for piece in pieces)

    def is_block(name: str, piece: Piece) -> bool:
        if name == 'stem':
            return len(piece.parts) > 1 or piece.kind is not None
        return piece.kind is not None and kinds[piece.kind] > 1

    return [
        i
        for i, (name, piece) in enumerate(zip(names, pieces))
        if is_block(name, piece) and not _upsamples(probe, piece)
    ]


def _upsamples(probe: Probe, piece: Piece) -> bool:
    shape = piece.end.outputs[0].shape
    return len(shape) == 4 and shape[-1] > probe.size[-1]


def _choose_cuttable(
    probe: Probe, pieces: Sequence[Piece], blocks: Sequence[int]
) -> Set[Piece]:
    """After which a cut may fall.

    Blocks, if nothing runs past them; if there are few such, blocks past
    which only skips run that can be detached; if there are few of these too,
    any piece but those of a tail that restores an image. The last block is
    the last module's.
    """
    tail = pieces[blocks[-1] :] if blocks else []
    restores = any(_upsamples(probe, piece) for piece in tail)
    end = len(pieces) - (len(tail) if restores else 1)
    possible = [
        piece
        for piece in pieces[:end]
        if len(piece.end.outputs) == 1
        and all(probe.maker(node) for node in piece.skips)
    ]
    chosen = [pieces[i] for i in blocks[:-1] if pieces[i] in possible]
    alone = [piece for piece in chosen if not piece.skips]
    return set(next((c for c in (alone, chosen) if len(c) >= LONG), possible))


def _makers(probe: Probe, piece: Piece) -> List[str]:
    makers = map(probe.maker, piece.skips)
    return sorted(maker.name for maker in makers if maker is not None)


def _reader(probe: Probe, piece: Piece, following: Optional[Piece]) -> str:
    """The module that alone reads what a piece returns."""
    if following is None:
        return ''
    end, reader = piece.end, following.parts[0]
    alone = probe.crossing(reader) <= probe.crossing(end)
    return reader.name if alone and reader.follows(end) else ''


def _runs(probe: Probe, parts: Sequence[Call]) -> Tuple[Tuple[str, ...], ...]:
    runs: List[List[str]] = []
    for before, part in zip([None, *parts], parts):
        if (
            before is not None
            and part.follows(before)
            and not probe.crossing(part).intersection(before.nodes)
        ):
            runs[-1].append(part.name)
        else:
            runs.append([part.name])
    return tuple(map(tuple, runs))


def _parameters(piece: Piece) -> Iterator[str]:
    for part in piece.parts:
        for name, _ in part.module.named_parameters():
            yield f'{part.name}.{name}' if part.name else name


def _kept(pieces: Sequence[Piece]) -> List[int]:
    """Bytes that autograd keeps of each."""
    until = [piece.end.kept for piece in pieces]
    return [kept - before for before, kept in zip([0, *until], until)]


def _features(
    probe: Probe, names: Sequence[str], pieces: Sequence[Piece]
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
        features.append(replace(feature, stage=stage))
        if returned.intersection(piece.end.nodes):
            stride = None  # an output of the network ends a stage
    return features


def _outputs(
    probe: Probe, names: Sequence[str], pieces: Sequence[Piece]
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
