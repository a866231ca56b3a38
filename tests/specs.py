# Copyright (c) mmfba authors.
"""Cuts of tiny backbones, for which auxiliary networks are built."""

import torch

from mmfba.local import INPUT, FeatureBank, probe_features
from mmfba.models import build_chain
from mmfba.models.auxiliary import MainModel, UnitSpec
from mmfba.models.neck_probe import probe_neck

# The neck of a RetinaNet on a ResNet-18 of 8 base channels.
FPN = dict(
    type='FPN',
    in_channels=[8, 16, 32, 64],
    out_channels=12,
    start_level=1,
    add_extra_convs='on_input',
    num_outs=5,
)


def make_spec(
    backbone,
    cut,
    registry=None,
    readable=(),
    outputs=None,
    neck=None,
    head=None,
    head_module=None,
    data_preprocessor=None,
    index=0,
    num_modules=2,
):
    """The cut after the unit ``cut`` of ``backbone``."""
    chain = build_chain(backbone)
    outputs = chain.outputs if outputs is None else outputs
    with torch.random.fork_rng(devices=[]):
        main_neck = registry.build(neck) if neck else None
    main = MainModel(
        backbone,
        chain,
        outputs,
        registry,
        neck,
        head or {},
        head_module,
        data_preprocessor,
        probe_neck(main_neck, backbone).returns,
    )
    features = probe_features(backbone, build_chain)
    return UnitSpec(
        index, num_modules, features[cut], features, tuple(readable), main
    )


def run_units(backbone, images):
    """All features of the backbone by name."""
    x, features = images, {INPUT: images}
    with torch.no_grad():
        for unit in build_chain(backbone).units:
            x = features[unit.name] = unit.forward(x)
    return features


def filled_bank(reads, features):
    """The bank with what is read, and nothing else."""
    bank = FeatureBank(dict.fromkeys(reads, 0))
    for name, feature in features.items():
        bank.put(name, feature)
    return bank


def record_inputs(module):
    """A list to which each call of ``module`` appends its arguments."""
    calls = []
    module.register_forward_pre_hook(lambda m, args: calls.append(args))
    return calls
