# Copyright (c) mmfba authors.
from typing import List, Optional, Sequence

from torch import nn

from mmfba.registry import MODELS

from ...neck_probe import SIZE
from ..unit_spec import UnitSpec

INF = 1e8


@MODELS.register_module()
def BoxHead(
    spec: UnitSpec,
    in_channels: int,
    strides: Optional[Sequence[int]] = None,
    num_classes: Optional[int] = None,
    stacked_convs: int = 2,
    levels: Optional[slice] = None,
    mode: str = 'slim',
) -> nn.Module:
    """Auxiliary head of any detector: a slim dense head of its own.

    Where the main head cannot stand on an auxiliary neck, as that of
    two-stage detectors and of transformers, or where copies of it would run
    three times as many operators, the local loss is that of mmdet's
    ``FCOSHead``, see :class:`mmfba.models.point_loss.PointLoss`: classes and
    boxes of the ground truth (masks are not read), predicted at each pixel of
    all levels at once, which lie on one canvas. Its ranges follow from the
    strides, as FCOS has them: a level of stride s is given the boxes whose
    farthest side is up to 8 s away, the last one all larger ones.
    Normalisation, without which hardly a gradient reaches the cut, is over
    the channels of a pixel, and not in groups as FCOS's, so that it runs once
    for all levels, too. Distances in strides and the GIoU loss keep the loss
    of boxes as large as that of classes.

    Args:
        spec (UnitSpec): The cut.
        in_channels (int): Channels of each map that the auxiliary neck
            returns; also those of the head.
        strides (Sequence[int], optional): Stride of each of these maps.
            Defaults to None: they are levels of the main network's neck.
        num_classes (int, optional): Number of classes. Defaults to None, the
            most that a part of the main head has, one that proposes regions
            aside.
        stacked_convs (int): Convs before the predictions. Defaults to 2.
        levels (slice, optional): Which levels of the main network's neck they
            are. Defaults to None, all.
        mode (str): ``'slim'``; others are those of :func:`TaskHead`.

    Returns:
        nn.Module: The head.

    Raises:
        ValueError: If strides or number of classes are not known.
    """
    if mode != 'slim':
        raise ValueError(
            f'auxiliary.head.mode={mode!r}: mmfba.BoxHead, the default for '
            f'{type(spec.main.head_module).__name__}, is a slim head of its '
            "own: set auxiliary.head.type='mmfba.TaskHead', which copies the "
            'main head'
        )
    if strides is None:
        strides = _main_strides(spec)[levels or slice(None)]
    ends = [-1, *(8 * stride for stride in strides[:-1]), INF]
    return spec.main.registry.build(
        dict(
            type='mmfba.CanvasFCOSHead',
            num_classes=num_classes or find_num_classes(spec.main.head_module),
            in_channels=in_channels,
            feat_channels=in_channels,
            stacked_convs=stacked_convs,
            strides=list(strides),
            regress_ranges=list(zip(ends[:-1], ends[1:])),
            norm_cfg=dict(type='mmfba.ChannelNorm'),
            norm_on_bbox=True,
            loss_cls=dict(type='mmfba.LeanSigmoidFocalLoss', use_sigmoid=True),
            loss_bbox=dict(type='GIoULoss'),
        )
    )


def _main_strides(spec: UnitSpec) -> List[int]:
    """Of the maps that the main network's neck returns."""
    shapes = spec.main.head_inputs or ()
    if not shapes or any(len(shape) != 4 for shape in shapes):
        raise ValueError(
            'auxiliary.head.type=mmfba.BoxHead: the maps of the main '
            "network's neck are not known: use auxiliary.neck.type='mmfba."
            "LocalFPN'"
        )
    return [round(SIZE / shape[2]) for shape in shapes]


def find_num_classes(head: nn.Module) -> int:
    """The most classes that a part of a detector's head tells apart."""
    found = [
        module.num_classes
        for module in head.modules()
        if isinstance(getattr(module, 'num_classes', None), int)
        and 'RPN' not in type(module).__name__  # it knows objects only
    ]
    if not found:
        raise ValueError(
            'auxiliary.head.type=mmfba.BoxHead: the main head, '
            f'{type(head).__name__}, does not tell its number of classes: '
            'set auxiliary.head.num_classes'
        )
    return max(found)
