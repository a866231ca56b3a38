# Copyright (c) mmfba authors.
"""Cuts of tiny backbones, for which auxiliary networks are built."""

import torch

from mmfba.local import INPUT, FeatureBank, probe_features
from mmfba.models import build_chain
from mmfba.models.auxiliary import MainModel, UnitSpec
from mmfba.models.blocks import image_tail, stage_maker
from mmfba.models.neck_probe import map_shapes, probe_neck

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
    tail, features = None, probe_features(backbone, build_chain)
    shapes = map_shapes(map(features.get, chain.outputs))
    if hasattr(backbone, 'upscale_factor'):
        tail = image_tail(
            backbone, backbone.upscale_factor, backbone.out_channels
        )
    with torch.random.fork_rng(devices=[]):
        main_neck = registry.build(neck) if neck else None
    main = MainModel(
        backbone=backbone,
        outputs=chain.outputs,
        outputs_read=outputs,
        blocks={u.name: u.modules[0] for u in chain.units},
        make_stage=stage_maker(backbone),
        registry=registry,
        neck=neck,
        head=head or {},
        head_module=head_module,
        data_preprocessor=data_preprocessor,
        head_inputs=probe_neck(main_neck, shapes).returns,
        tail=tail,
    )
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
