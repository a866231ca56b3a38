# Copyright (c) mmfba authors.
"""Random batches of any size, and targets on the meta device."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from types import SimpleNamespace
from typing import Any, Tuple
from unittest.mock import patch

import numpy as np
import torch
from mmengine.structures import InstanceData
from torch import Tensor, nn

from mmfba.models.anchor_targets import why_not

from .library_of import library_of
from .meta_kernels import meta_kernels
from .meta_rois import meta_rois
from .meta_shapes import OnMeta

NUM_BOXES = 10
"""Boxes in each random image of a detection batch."""


def make_batch(
    model: nn.Module, batch_size: int, shape: Tuple[int, int], device: str
) -> Tuple[Tensor, Any]:
    """Random inputs and targets, as the model's ``loss`` takes them.

    Args:
        model (nn.Module): A local model of any task, or its plain model.
        batch_size (int): Number of images.
        shape (tuple[int, int]): Height and width of the network's input.
        device (str): Where the tensors are.

    Returns:
        tuple: Images (N, C, H, W) with as many channels as the network's
        first convolution reads, and their data samples.
    """
    rng = np.random.default_rng(0)
    channels = next(
        m.in_channels for m in model.modules() if isinstance(m, nn.Conv2d)
    )
    images = _random(rng, (batch_size, channels, *shape), device)
    scope = library_of(type(model))
    if scope == 'mmdet':
        samples = [
            _detection_sample(model, rng, shape, device)
            for _ in range(batch_size)
        ]
    elif scope == 'mmagic':
        from mmagic.structures import DataSample

        scale = _upscale_factor(model)
        size = (shape[0] * scale, shape[1] * scale)
        images = images.abs().clamp(max=1)
        target = _random(rng, (batch_size, 3, *size), device).abs()
        samples = DataSample(gt_img=target.clamp(max=1))
    else:
        from mmpretrain.structures import DataSample

        num_classes = getattr(model.head, 'num_classes', None)
        if num_classes is None:
            raise ValueError(
                f'model.head.type={type(model.head).__name__} has no '
                'num_classes, so that no random labels can be drawn for it: '
                'choose a head that has'
            )
        samples = [
            DataSample().set_gt_label(i % num_classes).to(device)
            for i in range(batch_size)
        ]
    return images, samples


def _upscale_factor(model: nn.Module) -> int:
    """How many times as high the images are as the inputs."""
    if hasattr(model, 'scale'):  # of a local model, from its probe
        return model.scale
    names = ('upscale_factor', 'upscale')  # SwinIR has the latter
    found = [getattr(model.generator, name, None) for name in names]
    return next(filter(None, found), 1)  # NAFNet restores the same size


def slice_batch(batch: Tuple[Tensor, Any], rows: slice) -> Tuple[Tensor, Any]:
    """Some images of a batch that :func:`make_batch` made."""
    images, samples = batch
    if not isinstance(samples, list):  # mmagic stacks them
        return images[rows], type(samples)(gt_img=samples.gt_img[rows])
    return images[rows], samples[rows]


@contextmanager
def meta_targets(model: nn.Module) -> Iterator[None]:
    """Let anchor heads run on the meta device.

    mmdet's assignment of anchors to boxes needs values. Here its heads get
    targets of the shapes that they would have; what the assignment itself
    holds for a moment is not seen. Checkpointing runs there too, and mmcv's
    kernels are those of a GPU.

    Args:
        model (nn.Module): The model, on the meta device.

    Raises:
        ValueError: If a head assigns otherwise than mmdet's AnchorHead.
    """
    heads = [m for m in model.modules() if hasattr(m, '_get_targets_single')]
    if hasattr(model, 'anchor_targets'):  # a local model reads no values
        heads = [head for head in heads if why_not(head)]
    heads = [head for head in heads if _needs_values(head)]
    for head in heads:
        head._get_targets_single = partial(_shapes_of_targets, head)
    try:
        # torch 2.1's checkpointing looks for a module named as the device.
        rois = meta_rois(model) if heads else nullcontext()
        meta = patch.object(torch, 'meta', torch.cpu, create=True)
        with rois, meta_kernels(), OnMeta(), meta:
            yield
    finally:
        for head in heads:
            del head._get_targets_single


def _needs_values(head: nn.Module) -> bool:
    """Whether a head's assignment must be replaced; those of FCOS and of RoIs
    run as they are."""
    from mmdet.models import AnchorHead, BBoxHead, FCOSHead

    own = type(head)._get_targets_single
    if own in (FCOSHead._get_targets_single, BBoxHead._get_targets_single):
        return False
    if own is not AnchorHead._get_targets_single:
        raise ValueError(
            f'{type(head).__name__} cannot be measured on the meta device, '
            'where its assignment has no values to go by: with --device cpu '
            'or cuda benchmark_memory.py measures it'
        )
    return True


def _shapes_of_targets(head: nn.Module, anchors: Tensor, *_, **__) -> tuple:
    num, size = len(anchors), head.bbox_coder.encode_size
    return (
        anchors.new_empty(num, dtype=torch.long),
        anchors.new_empty(num),
        anchors.new_empty(num, size),
        anchors.new_empty(num, size),
        anchors.new_empty(0, dtype=torch.long),
        anchors.new_empty(0, dtype=torch.long),
        SimpleNamespace(avg_factor=1),
    )


def _random(
    rng: np.random.Generator, shape: Tuple[int, ...], device: str
) -> Tensor:
    if device == 'meta':
        return torch.empty(shape, device='meta')
    return torch.from_numpy(rng.standard_normal(shape, 'float32')).to(device)


def _detection_sample(
    model: nn.Module,
    rng: np.random.Generator,
    shape: Tuple[int, int],
    device: str,
) -> Any:
    from mmdet.structures import DetDataSample

    from mmfba.models.auxiliary.heads.box_head import find_num_classes

    height, width = shape
    centers = rng.uniform(0.1, 0.9, (NUM_BOXES, 2))
    sizes = rng.uniform(0.05, 0.5, (NUM_BOXES, 2))
    corners = np.concatenate([centers - sizes / 2, centers + sizes / 2], 1)
    boxes = corners.clip(0, 1) * [width, height, width, height]
    labels = rng.integers(find_num_classes(model), size=NUM_BOXES)
    return DetDataSample(
        metainfo=dict(
            img_shape=shape, pad_shape=shape, batch_input_shape=shape
        ),
        gt_instances=InstanceData(
            bboxes=torch.tensor(boxes, dtype=torch.float32, device=device),
            labels=torch.tensor(labels, device=device),
        ),
        ignored_instances=InstanceData(
            bboxes=torch.empty(0, 4, device=device),
            labels=torch.empty(0, dtype=torch.long, device=device),
        ),
    )
