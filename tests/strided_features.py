# Copyright (c) mmfba authors.
"""Cuts of a backbone of which no more is known than its features."""

from types import SimpleNamespace

import torch
from mmdet.registry import MODELS

from mmfba.local import INPUT, FeatureBank, FeatureSpec
from mmfba.models.auxiliary import UnitSpec

STRIDES = {'stem': 2, 'a0': 4, 'a1': 4, 'b0': 8, 'b1': 8, 'c': 16, 'd': 32}
CHANNELS = 6


def make_spec(
    cut,
    readable=(),
    strides=STRIDES,
    registry=MODELS,
    head_module=None,
    head_inputs=None,
):
    """The cut after the feature ``cut``."""
    features = {INPUT: FeatureSpec(INPUT, 0, 3, 1)}
    for i, (name, stride) in enumerate(strides.items()):
        # Other channels each, so that none is taken for another.
        features[name] = FeatureSpec(name, i, CHANNELS + i, stride)
    main = SimpleNamespace(
        registry=registry,
        head_module=head_module,
        head_inputs=head_inputs,
        head={},
        backbone=None,
        anchor_targets=None,
        point_targets=None,
    )
    return UnitSpec(0, 2, features[cut], features, tuple(readable), main)


def make_maps(spec, size, num_images=2, dtype=torch.double):
    """The live map at the cut, and the bank behind it with what is read."""
    rng = torch.Generator().manual_seed(0)
    maps = {
        name: torch.rand(
            num_images,
            feature.channels,
            *(-(-side // feature.stride) for side in size),
            generator=rng,
            dtype=dtype,
        ).requires_grad_()
        for name, feature in spec.features.items()
    }
    bank = FeatureBank(dict.fromkeys(maps, 1))
    for name in maps:
        bank.put(name, maps[name])
    bank.cut(0)
    return maps, bank
