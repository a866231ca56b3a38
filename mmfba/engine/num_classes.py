# Copyright (c) mmfba authors.
from typing import Any

from torch import nn


def check_num_classes(model: nn.Module, dataset: Any) -> None:
    """Refuse data with more classes than the head, or a string for them."""
    classes = getattr(dataset, 'metainfo', {}).get('classes') or ()
    if isinstance(classes, str):
        raise ValueError(
            f"the data set's metainfo.classes={classes!r} is a string, which "
            f'stands for {len(classes)} classes of a letter each: write a '
            f'tuple, with a comma: classes=({classes!r},)'
        )
    for name in ('head', 'bbox_head'):
        given = getattr(getattr(model, name, None), 'num_classes', None)
        if isinstance(given, int) and given < len(classes):
            raise ValueError(
                f'model.{name}.num_classes={given}, but the data set has '
                f'{len(classes)} classes, {list(classes[:3])} and so on: set '
                f'num_classes={len(classes)}, or choose classes by '
                'train_dataloader.dataset.metainfo'
            )
