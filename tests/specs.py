# Copyright (c) mmfba authors.
"""Cuts of tiny backbones, for which auxiliary networks are built."""

import torch

from mmfba.local import INPUT, FeatureBank, FeatureSpec
from mmfba.local.probe import probe
from mmfba.local.unit_finder import find_units
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
    seen = probe(backbone, [64])
    anatomy = find_units(seen)
    units = [unit for unit in anatomy.units if not unit.tail]
    features = {INPUT: FeatureSpec(INPUT, 0, seen.inputs.shape[1], 1)}
    features.update({unit.name: unit.feature for unit in units})
    if outputs is None:
        outputs = anatomy.outputs
    tail = None
    shapes = map_shapes(map(features.get, anatomy.outputs))
    if hasattr(backbone, 'upscale_factor'):
        tail = image_tail(
            backbone, backbone.upscale_factor, backbone.out_channels
        )
    with torch.random.fork_rng(devices=[]):
        main_neck = registry.build(neck) if neck else None
    main = MainModel(
        backbone=backbone,
        outputs=anatomy.outputs,
        outputs_read=outputs,
        blocks={
            unit.name: backbone.get_submodule(unit.runs[0][0])
            for unit in units
        },
        make_stage=stage_maker(backbone),
        registry=registry,
        neck=neck,
        head=head or {},
        head_module=head_module,
        data_preprocessor=data_preprocessor,
        neck_module=main_neck,
        head_inputs=None if tail else probe_neck(main_neck, shapes).returns,
        tail=tail,
    )
    return UnitSpec(
        index, num_modules, features[cut], features, tuple(readable), main
    )


def run_units(backbone, images):
    """All features of the backbone by name."""
    features, hooks = {INPUT: images}, []
    units = find_units(probe(backbone, [64])).units
    for unit in (unit for unit in units if not unit.tail):
        end = backbone.get_submodule(unit.end)

        def keep(module, args, out, name=unit.name):
            features[name] = out

        hooks.append(end.register_forward_hook(keep))
    with torch.no_grad():
        backbone(images)
    for hook in hooks:
        hook.remove()
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
