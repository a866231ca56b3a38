# Copyright (c) mmfba authors.
"""Which features go into the bank, and who reads them."""

from typing import Dict, Sequence, Tuple

from mmfba.local import POOLED

from .auxiliary import AuxiliaryNetwork
from .options import LocalLearningOptions


def check_taps(taps: Sequence[str], names: Sequence[str]) -> None:
    """Refuse a tap that is no feature of the backbone, the input included."""
    for tap in taps:
        if tap.removesuffix(POOLED) not in names:
            raise ValueError(
                f'local_learning.taps: no feature {tap!r}; '
                f'choose from {names}, each also with {POOLED!r}'
            )


def readable(
    taps: Sequence[str], cut: str, names: Sequence[str], timing: str
) -> Tuple[str, ...]:
    """Taps that hold something when the auxiliary network at a cut runs.

    The cut's own feature is none of them: the network has it, live.

    Args:
        taps (Sequence[str]): All taps; their order is kept.
        cut (str): Name of the unit that is cut after.
        names (Sequence[str]): The network's features in execution order.
        timing (str): ``'causal'``, features before the cut only, or
            ``'two_pass'``, all.
    """
    before = names[: names.index(cut)] if timing == 'causal' else names
    before = [name for name in before if name != cut]
    return tuple(t for t in taps if t.removesuffix(POOLED) in before)


def last_readers(
    auxiliaries: Sequence[AuxiliaryNetwork],
) -> Dict[str, int]:
    """After which local module each entry of the bank may be dropped: the last
    whose auxiliary network reads it. What nobody reads is missing."""
    last: Dict[str, int] = {}
    for i, aux in enumerate(auxiliaries):
        last.update(dict.fromkeys(aux.reads, i))
    return last


def check_readers(
    options: LocalLearningOptions,
    auxiliaries: Sequence[AuxiliaryNetwork],
    read: Sequence[str],
) -> None:
    """Refuse taps that nobody reads, and a first pass for nobody.

    Args:
        options (LocalLearningOptions): The model's options.
        auxiliaries (Sequence[AuxiliaryNetwork]): The auxiliary networks.
        read (Sequence[str]): Entries of the bank with a reader.
    """
    nobody = auxiliaries and not any(aux.reads for aux in auxiliaries)
    if options.timing == 'two_pass' and nobody:
        raise ValueError(
            "local_learning.timing='two_pass': a first forward fills the "
            'bank, but no auxiliary network reads it: leave timing out, or '
            "let one read it, for example by auxiliary.neck.fusion='add' or, "
            "with a local FPN, local_learning.partition='stage'"
        )
    unread = [tap for tap in options.taps or () if tap not in read]
    if unread:
        raise ValueError(
            f'local_learning.taps: nobody reads {unread}: leave them out, or '
            "set auxiliary.neck.fusion or timing='two_pass' so that an "
            'auxiliary network can read them'
        )
