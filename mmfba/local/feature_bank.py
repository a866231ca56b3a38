# Copyright (c) mmfba authors.
from contextlib import contextmanager
from typing import Dict, Iterator, List, Mapping, Tuple

from torch import Tensor

POOLED = '.pooled'
"""Suffix that names the globally average-pooled form of a feature."""


class FeatureBank:
    """This step's backbone features by name (S1 eq. 3, S2 eq. 3).

    A feature is kept only if somebody reads it, and only until its last
    reader has run. Within the local module that computed it, it is live, as
    it is in the backbone; at the cut it is detached, so that no gradient
    crosses. The bank is empty outside a step.

    ``<name>.pooled`` is the global average of the feature ``<name>`` over
    its pixels, of shape (N, C): what classification networks store.

    Args:
        last_reader (Mapping[str, int]): For each name that is read, the index
            of the last local module that reads it.
    """

    def __init__(self, last_reader: Mapping[str, int]) -> None:
        self._last_reader = dict(last_reader)
        self._features: Dict[str, Tuple[Tensor, int]] = {}
        self._current = 0

    def put(self, name: str, feature: Tensor) -> None:
        """Keep a feature of shape (N, C, H, W) if somebody reads it."""
        if self._will_be_read(name):
            self._features[name] = (feature, feature._version)
        if self._will_be_read(name + POOLED):
            pooled = feature.mean(dim=(2, 3))
            self._features[name + POOLED] = (pooled, pooled._version)

    def get(self, name: str) -> Tensor:
        """Read a feature.

        Raises:
            KeyError: If the bank does not hold it.
            RuntimeError: If it was overwritten in place since it was put.
        """
        if name not in self._features:
            raise KeyError(
                f'The feature bank does not hold {name!r} at this '
                f'point of the step; it holds {list(self)}'
            )
        feature, version = self._features[name]
        if feature._version != version:
            raise RuntimeError(
                f'The banked feature {name!r} was overwritten in place by '
                'the unit that follows it: tap another unit'
            )
        return feature

    def _will_be_read(self, name: str) -> bool:
        return self._last_reader.get(name, -1) >= self._current

    def cut(self, index: int) -> None:
        """End local module ``index``: drop what no later one reads."""
        self._current = index + 1
        self._features = {
            name: (feature.detach(), version)
            for name, (feature, version) in self._features.items()
            if self._will_be_read(name)
        }

    @contextmanager
    def step(self) -> Iterator['FeatureBank']:
        """Open the bank for one step; it is empty afterwards in any case."""
        self.clear()
        try:
            yield self
        finally:
            self.clear()

    def clear(self) -> None:
        """Drop everything."""
        self._features = {}
        self._current = 0

    @property
    def read_names(self) -> List[str]:
        """list[str]: What is read by somebody, hence kept."""
        return list(self._last_reader)

    @property
    def read_features(self) -> List[str]:
        """list[str]: The features of which something is read."""
        bases = [name.removesuffix(POOLED) for name in self._last_reader]
        return list(dict.fromkeys(bases))

    @property
    def nbytes(self) -> int:
        """int: Bytes of the features held now."""
        return sum(f.nbytes for f, _ in self._features.values())

    def __iter__(self) -> Iterator[str]:
        return iter(self._features)

    def __len__(self) -> int:
        return len(self._features)
