# Copyright (c) mmfba authors.
"""Batch and image size of training, as a config says them."""

from collections.abc import Mapping
from typing import Any, Optional

from mmengine.config import Config

from mmfba.type_name import type_name

Size = tuple[float, float]
"""Height and width."""


def read_batch(cfg: Config) -> Optional[int]:
    """Images that one process loads at a time."""
    return (cfg.get('train_dataloader') or {}).get('batch_size')


def read_shape(cfg: Config) -> tuple[Optional[tuple[int, int]], str]:
    """The largest input that the network gets in training.

    Args:
        cfg (Config): A config of mmpretrain, mmdet or mmagic.

    Returns:
        tuple: Height and width, None if no transform of the config names a
        size, and what they were read from.
    """
    generator = cfg.model.get('generator') or {}
    factor = generator.get('upscale_factor') or generator.get('upscale') or 1
    for name in ('train', 'val', 'test'):
        loader = cfg.get(f'{name}_dataloader')
        loader = loader[0] if isinstance(loader, (list, tuple)) else loader
        reader = _Reader(factor)
        size = reader.dataset((loader or {}).get('dataset') or {}, None)
        prepare = cfg.model.get('data_preprocessor') or {}
        size = reader.transforms(prepare.get('batch_augments') or (), size)
        if size:
            divisor = prepare.get('pad_size_divisor', 1)
            shape = [-int(-x // divisor) * divisor for x in size]
            return tuple(shape), f'{reader.source} of {name}_dataloader'
    return None, ''


class _Reader:
    """Follows an image through a pipeline.

    Args:
        upscale_factor (int): Of super-resolution.
    """

    def __init__(self, upscale_factor: int) -> None:
        self.upscale_factor = upscale_factor
        self.source = ''

    def dataset(self, cfg: Mapping, size: Optional[Size]) -> Optional[Size]:
        """What a dataset gives, that of a wrapper included."""
        parts = [*(cfg.get('datasets') or ()), cfg.get('dataset') or {}]
        sizes = [self.dataset(part, size) for part in parts if part]
        return self.transforms(cfg.get('pipeline') or (), _largest(sizes))

    def transforms(self, steps: Any, size: Optional[Size]) -> Optional[Size]:
        """What transforms make of a size."""
        for step in steps if isinstance(steps, (list, tuple)) else [steps]:
            if isinstance(step, (list, tuple)):
                size = self.transforms(step, size)
                continue
            name = type_name(step.get('type')).rpartition('.')[2]
            inner = step.get('transforms')
            if name == 'RandomChoice':
                size = _largest([self.transforms(x, size) for x in inner])
            elif inner:
                size = self.transforms(inner, size)
            found = self._transform(name, step, size)
            if found:
                size, self.source = found, name
        return size

    def _transform(
        self, name: str, step: Mapping, size: Optional[Size]
    ) -> Optional[Size]:
        names = ('scale', 'scales')
        names = ('size', *names) if 'Crop' in name else names
        scale = next((step[key] for key in names if step.get(key)), None)
        crop = step.get('crop_size')
        if name == 'PairedRandomCrop':
            return _pair(step['gt_patch_size'] / self.upscale_factor)
        if name.endswith('Mosaic'):  # RandomAffine takes its border away
            return _times(2, _pair(step.get('img_scale', 640)))
        if name == 'RandomAffine' and size and step.get('border'):
            return tuple(x + 2 * b for x, b in zip(size, step['border'][::-1]))
        if name in ('Pad', 'BatchFixedSizePad') and step.get('size'):
            return _pair(step['size'])
        if name == 'BatchSyncRandomResize':
            return _pair(step['random_size_range'][1])
        if 'Resize' in name and scale:
            most = max(step.get('ratio_range') or (1,))
            if isinstance(scale, float) or 'resize_cfg' in step:
                return size and _times(scale, size)
            several = isinstance(scale, (list, tuple)) and not isinstance(
                scale[0], (int, float)
            )
            scales = scale if several else [scale]
            return _times(most, _largest([_pair(x) for x in scales]))
        if 'Crop' in name and crop:
            kind = step.get('crop_type', 'absolute')
            if kind.startswith('relative'):
                return size
            crop = _pair(crop[1] if kind == 'absolute_range' else crop)
            return tuple(map(min, crop, size)) if size else crop
        if 'RandomCrop' in name and scale:
            return _pair(scale)
        return None


def _pair(value: Any) -> Size:
    """Height and width; OpenMMLab's scales are wide before they are high."""
    if isinstance(value, (int, float)):
        return value, value
    return tuple(value)[::-1]


def _times(factor: float, size: Size) -> Size:
    return tuple(factor * x for x in size)


def _largest(sizes: list[Optional[Size]]) -> Optional[Size]:
    known = [size for size in sizes if size]
    return max(known, key=lambda size: size[0] * size[1], default=None)
