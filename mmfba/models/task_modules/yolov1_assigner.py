# Copyright (c) mmfba authors.
from typing import Optional

import torch
from mmdet.models.task_modules.assigners import AssignResult, BaseAssigner
from mmdet.structures.bbox import bbox_overlaps
from mmengine.structures import InstanceData

from mmfba.registry import TASK_UTILS


@TASK_UTILS.register_module()
class YOLOV1Assigner(BaseAssigner):
    """Finds the predictor that is responsible for each object.

    The grid cell that the center of an object falls into detects it; of the
    cell's predictors the one whose box has the highest IoU with the object is
    responsible for it. `You Only Look Once
    <https://arxiv.org/abs/1506.02640>`_, section 2.

    Note:
        A cell detects one object, as it predicts one set of class
        probabilities. Of several that fall into it the first is taken.
    """

    def assign(
        self,
        pred_instances: InstanceData,
        gt_instances: InstanceData,
        gt_instances_ignore: Optional[InstanceData] = None,
        **kwargs,
    ) -> AssignResult:
        """Assign the objects of one image.

        Args:
            pred_instances (InstanceData): ``priors``, the grid cell of each
                predictor, and ``bboxes``, the box that it predicts, both
                (x1, y1, x2, y2) in pixels, (N, 4).
            gt_instances (InstanceData): ``bboxes`` (M, 4) and ``labels``
                (M, ) of the objects.
            gt_instances_ignore (InstanceData, optional): Not used, as in
                mmdet's YOLO heads. Defaults to None.

        Returns:
            AssignResult: ``gt_inds`` is the index of its object, from 1, for
            a responsible predictor and 0 for all others; ``max_overlaps`` is
            the IoU with it.
        """
        cells, boxes = pred_instances.priors, pred_instances.bboxes
        gt_boxes, gt_labels = gt_instances.bboxes, gt_instances.labels
        num_preds, num_gts = len(cells), len(gt_boxes)
        if num_gts == 0:
            return AssignResult(
                0,
                cells.new_zeros(num_preds, dtype=torch.long),
                boxes.new_zeros(num_preds),
                cells.new_full((num_preds,), -1, dtype=torch.long),
            )
        # Dense (N, M), so that nothing waits for values of the device.
        centers = ((gt_boxes[:, :2] + gt_boxes[:, 2:]) / 2).to(cells)
        inside = (cells[:, None, :2] <= centers) & (
            centers < cells[:, None, 2:]
        )
        inside = inside.all(dim=-1)
        detects = inside & (inside.cumsum(dim=1) == 1)
        ious = bbox_overlaps(boxes, gt_boxes.to(boxes))
        best = ious.masked_fill(~detects, -1).argmax(dim=0)
        responsible = torch.zeros_like(detects).scatter(0, best[None], True)
        responsible &= detects
        numbers = torch.arange(1, num_gts + 1, device=cells.device)
        gt_inds = (responsible * numbers).sum(dim=1)
        labels = gt_labels[(gt_inds - 1).clamp(min=0)]
        return AssignResult(
            num_gts,
            gt_inds,
            (responsible * ious).sum(dim=1),
            labels.masked_fill(gt_inds == 0, -1),
        )
