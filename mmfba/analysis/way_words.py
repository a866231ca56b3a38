# Copyright (c) mmfba authors.
import re
from collections.abc import Mapping
from typing import Any, Optional

WORDS = dict(
    lean='lean focal loss',
    cp='checkpointing (with_cp)',
    stem='stem image by image',
    chunk='head image by image',
    checkpoint='checkpointing',
    fast='head on all levels at once',
    balanced='balanced cuts',
)
"""Tokens of arms."""


def way_words(
    arm: str,
    batch_size: int,
    accumulated: int = 1,
    options: Optional[Mapping[str, Any]] = None,
) -> str:
    """A way to train, as users read it.

    Args:
        arm (str): See :func:`make_arm`.
        batch_size (int): Images that are loaded at a time without it.
        accumulated (int): Batches of a step without it. Defaults to 1.
        options (Mapping, optional): ``model.local_learning``, where a local
            model trains. Defaults to None.
    """
    tokens = dict(re.findall(r'([a-z]+)(\d*)', arm))
    words = [WORDS[token] for token in tokens if token in WORDS]
    if 'accum' in tokens:
        parts = int(tokens['accum']) // accumulated
        size = batch_size // parts
        images = 'image' if size == 1 else 'images'
        words.insert(0, f'gradient accumulation, {parts} x {size} {images}')
    if options is None:
        return ', '.join(words)
    cuts = options.get('partition')
    count = options.get('num_modules', 4)
    count = len(cuts) + 1 if isinstance(cuts, (list, tuple)) else count
    count = 1 if 'bp' in tokens else int(tokens.get('k', count))
    kind = 'exact' if count == 1 else f'{count} local modules'
    return ': '.join(filter(None, [f'mmfba, {kind}', ', '.join(words)]))
