# Copyright (c) mmfba authors.
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from torch import nn

from .cka import MinibatchCKA
from .linear_probe import probe_accuracy, probe_input
from .unit_features import class_labels, unit_features


def compare_networks(
    models: Mapping[str, nn.Module], batches: Iterable[Any]
) -> dict[str, Any]:
    """Similarity of trained networks with the first, and linear probes.

    Args:
        models (Mapping[str, nn.Module]): In eval mode, by their names.
        batches (Iterable): Of :func:`load_batches`.

    Returns:
        dict: ``num_images``, and ``networks``: a list with, for each, its
        ``name``, the names of its ``units``, the linear ``cka`` of each unit
        of the first network (rows) with each of its own, None where a feature
        is the same for all images, and the ``probe`` accuracy of each unit in
        percent, or None if images have no class.
    """
    similarity = {name: MinibatchCKA() for name in models}
    inputs: dict[str, list] = {name: [] for name in models}
    labels: list[Any] = []
    units, num_images = {}, 0
    for data in batches:
        found = {n: unit_features(model, data) for n, model in models.items()}
        first = next(iter(found.values()))
        num_images += len(data['inputs'])
        classes = class_labels(data)
        labels += classes or []
        for name, features in found.items():
            units[name] = list(features)
            similarity[name].update(
                list(first.values()), list(features.values())
            )
            if classes:
                pooled = [probe_input(f).numpy() for f in features.values()]
                inputs[name].append(pooled)
    networks = [
        dict(
            name=name,
            units=units[name],
            cka=_rounded(similarity[name].compute().tolist()),
            probe=_probes(inputs[name], np.array(labels)),
        )
        for name in units
    ]
    return dict(num_images=num_images, networks=networks)


def _rounded(rows: list[list[float]]) -> list[list[Any]]:
    return [
        [None if np.isnan(x) else round(x, 4) for x in row] for row in rows
    ]


def _probes(batches: list, labels: np.ndarray) -> Any:
    if not batches:
        return None
    return [
        round(probe_accuracy(np.concatenate(unit), labels), 2)
        for unit in zip(*batches)
    ]
