# Copyright (c) mmfba authors.
"""What dense heads divide their losses by."""

from dataclasses import dataclass
from typing import Any, Callable, Dict, List, Sequence

import torch
from torch import Tensor, nn

# mmdet's losses add it to the normaliser.
EPS = torch.finfo(torch.float32).eps


@dataclass
class Normaliser:
    """What a head divides a loss by: a sum over images, not below a floor.

    Attributes:
        parts (list[float]): What each image of the batch adds.
        floor (float): The least value. Defaults to 0.
        eps (float): What the loss adds to it. Defaults to that of mmdet's
            losses.
    """

    parts: List[float]
    floor: float = 0.0
    eps: float = EPS

    def share(self, rows: slice) -> float:
        """What turns the head's loss of some images into their part."""
        part, whole = (
            max(sum(parts), self.floor) + self.eps
            for parts in (self.parts[rows], self.parts)
        )
        return part / whole


def anchor_normalisers(
    head: nn.Module, features: Sequence[Tensor], data_samples: List[Any]
) -> Dict[str, Normaliser]:
    """The normalisers of mmdet's ``AnchorHead``: its positive anchors.

    Args:
        head (nn.Module): The head.
        features (Sequence[Tensor]): Maps of its levels, of any images.
        data_samples (list[DetDataSample]): All images of the batch.

    Returns:
        dict[str, Normaliser]: By the name of the loss.
    """
    from mmdet.models.utils import unpack_gt_instances

    gts, ignored, metas = unpack_gt_instances(data_samples)
    sizes = [tuple(feature.shape[-2:]) for feature in features]
    anchors, valid = head.get_anchors(sizes, metas, features[0].device)
    parts = []
    for i in range(len(metas)):
        image = slice(i, i + 1)
        targets = head.get_targets(
            anchors[image],
            valid[image],
            gts[image],
            metas[image],
            batch_gt_instances_ignore=ignored and ignored[image],
        )
        parts.append(float(targets[4]))
    return dict.fromkeys(('loss_cls', 'loss_bbox'), Normaliser(parts))


def fcos_normalisers(
    head: nn.Module, features: Sequence[Tensor], data_samples: List[Any]
) -> Dict[str, Normaliser]:
    """The normalisers of mmdet's ``FCOSHead``: positive points and the sum of
    their centerness, the mean over processes.

    Args:
        head (nn.Module): See :func:`anchor_normalisers`.
        features (Sequence[Tensor]): See there.
        data_samples (list[DetDataSample]): See there.

    Returns:
        dict[str, Normaliser]: By the name of the loss.
    """
    from mmdet.utils import reduce_mean

    points = head.prior_generator.grid_priors(
        [feature.shape[-2:] for feature in features],
        dtype=features[0].dtype,
        device=features[0].device,
    )
    counts, sums = [], []
    for sample in data_samples:
        labels, boxes = map(
            torch.cat, head.get_targets(points, [sample.gt_instances])
        )
        boxes = boxes[(labels >= 0) & (labels < head.num_classes)]
        counts.append(len(boxes))
        sums.append(head.centerness_target(boxes).sum())
    counts = reduce_mean(features[0].new_tensor(counts)).tolist()
    sums = reduce_mean(torch.stack(sums).detach()).tolist()
    number = Normaliser(counts, floor=1.0)
    return dict(
        loss_cls=number,
        loss_bbox=Normaliser(sums, floor=1e-6),
        loss_centerness=number,
    )


def yolov1_normalisers(
    head: nn.Module, features: Sequence[Tensor], data_samples: List[Any]
) -> Dict[str, Normaliser]:
    """The normaliser of ``mmfba.YOLOV1Head``: the number of images.

    Args:
        head (nn.Module): See :func:`anchor_normalisers`.
        features (Sequence[Tensor]): See there.
        data_samples (list[DetDataSample]): See there.

    Returns:
        dict[str, Normaliser]: By the name of the loss.
    """
    images = Normaliser([1.0] * len(data_samples), eps=0.0)
    terms = ('xy', 'wh', 'obj', 'noobj', 'cls')
    return dict.fromkeys((f'loss_{term}' for term in terms), images)


NORMALISERS: Dict[str, Callable[..., Dict[str, Normaliser]]] = {
    'AnchorHead': anchor_normalisers,
    'FCOSHead': fcos_normalisers,
    'mmfba.YOLOV1Head': yolov1_normalisers,
}
"""By the name of the class that defines ``loss_by_feat``."""
