# Copyright (c) mmfba authors.
"""Features of trained networks, unit by unit."""

from collections.abc import Iterator
from typing import Any, Optional

import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.runner import Runner, load_checkpoint
from torch import Tensor, nn

from mmfba.local.interception import Cuts, Interception
from mmfba.local.probe import probe
from mmfba.local.unit_finder import find_units
from mmfba.models.build_model import build_model
from mmfba.models.probe_sizes import probe_sizes


def load_network(cfg: Config, checkpoint: str) -> nn.Module:
    """A trained network, local or plain, in eval mode; a ValueError if the
    checkpoint is of another."""
    model = build_model(cfg)
    try:
        load_checkpoint(model, checkpoint, map_location='cpu', strict=True)
    except RuntimeError as error:
        raise ValueError(
            f'{checkpoint} is no checkpoint of {cfg.filename}: {error}'
        ) from error
    return model.eval()


def load_batches(cfg: Config) -> Iterator[Any]:
    """Batches of the test set, but for a last one with fewer images."""
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        loader = Runner.build_dataloader(cfg.test_dataloader, seed=0)
    for data in loader:
        if len(data['inputs']) == cfg.test_dataloader.batch_size:
            yield data


def unit_features(model: nn.Module, data: Any) -> dict[str, Tensor]:
    """The output (N, C, H, W) of each unit in the plain forward, by name."""
    # mmagic calls the backbone so.
    network = getattr(model, 'generator', None) or model.backbone
    found = find_units(probe(network, probe_sizes(network, 'mmpretrain')))
    names = {unit.end: unit.name for unit in found.units}
    images = model.data_preprocessor(data, False)['inputs']
    features = {}

    def keep(end: str, output: Any) -> None:
        feature = found.features[names[end]].map_of(output, images)
        features[names[end]] = feature.clone()

    with (
        torch.no_grad(),
        Interception(network, Cuts(), lambda *_: None, tuple(names), keep),
    ):
        network(images)
    return features


def class_labels(data: Any) -> Optional[list[int]]:
    """Class of each image of a batch; None if one has not one class."""
    samples = data['data_samples']
    if not all('gt_label' in s and len(s.gt_label) == 1 for s in samples):
        return None
    return [int(sample.gt_label) for sample in samples]
