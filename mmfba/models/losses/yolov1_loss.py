# Copyright (c) mmfba authors.
from typing import Dict, NamedTuple

from torch import Tensor

COORD_WEIGHT, NOOBJ_WEIGHT = 5.0, 0.5
"""Lambda_coord and lambda_noobj of the paper."""


class YOLOV1Targets(NamedTuple):
    """What the predictors of a grid should predict, for one image or a batch.

    Attributes:
        responsible (Tensor): 1 where a predictor is responsible for an
            object, else 0, (..., S * S * B).
        boxes (Tensor): Encoded boxes of the objects, (..., S * S * B, 4).
        ious (Tensor): IoU of predicted box and object, 0 without one,
            (..., S * S * B).
        classes (Tensor): Class of each cell's object as one-hot vector, all 0
            without one, (..., S * S, C).
    """

    responsible: Tensor
    boxes: Tensor
    ious: Tensor
    classes: Tensor


def yolov1_loss(
    boxes: Tensor,
    confidences: Tensor,
    classes: Tensor,
    targets: YOLOV1Targets,
) -> Dict[str, Tensor]:
    r"""The loss of YOLOv1, the mean over images.

    .. math::
        & \lambda_{coord} \sum_i \sum_j 1_{ij}^{obj}
        \left[(x_i - \hat x_i)^2 + (y_i - \hat y_i)^2\right] \\
        +\ & \lambda_{coord} \sum_i \sum_j 1_{ij}^{obj}
        \left[(\sqrt{w_i} - \sqrt{\hat w_i})^2
        + (\sqrt{h_i} - \sqrt{\hat h_i})^2\right] \\
        +\ & \sum_i \sum_j 1_{ij}^{obj} (C_i - \hat C_i)^2
        + \lambda_{noobj} \sum_i \sum_j 1_{ij}^{noobj} (C_i - \hat C_i)^2 \\
        +\ & \sum_i 1_i^{obj} \sum_c (p_i(c) - \hat p_i(c))^2

    Eq. 3 of `You Only Look Once <https://arxiv.org/abs/1506.02640>`_. The
    target of a responsible predictor's confidence is the IoU of its box with
    the object, that of all others 0.

    Args:
        boxes (Tensor): Encoded boxes :math:`(x, y, \sqrt w, \sqrt h)`,
            (N, S * S * B, 4).
        confidences (Tensor): (N, S * S * B).
        classes (Tensor): Class probabilities, (N, S * S, C).
        targets (YOLOV1Targets): Of the N images.

    Returns:
        dict[str, Tensor]: The terms ``loss_xy``, ``loss_wh``, ``loss_obj``,
        ``loss_noobj`` and ``loss_cls``.
    """
    num_images = len(boxes)
    obj = targets.responsible
    coord = (boxes - targets.boxes).square() * obj[..., None]
    xy, wh = coord.split(2, dim=-1)
    confidence = (confidences - targets.ious).square()
    cell_obj = targets.classes.sum(dim=-1, keepdim=True)
    cls = (classes - targets.classes).square() * cell_obj
    return dict(
        loss_xy=COORD_WEIGHT * xy.sum() / num_images,
        loss_wh=COORD_WEIGHT * wh.sum() / num_images,
        loss_obj=(confidence * obj).sum() / num_images,
        loss_noobj=NOOBJ_WEIGHT * (confidence * (1 - obj)).sum() / num_images,
        loss_cls=cls.sum() / num_images,
    )
