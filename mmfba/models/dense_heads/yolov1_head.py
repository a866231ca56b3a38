# Copyright (c) mmfba authors.
from typing import Any, Dict, List, Optional, Tuple

import torch
import torch.nn.functional as F
from mmcv.cnn import ConvModule
from mmdet.models.dense_heads.base_dense_head import BaseDenseHead
from mmdet.models.utils import filter_scores_and_topk
from mmengine.structures import InstanceData
from torch import Tensor, nn

from mmfba.registry import MODELS

from ..losses.yolov1_loss import YOLOV1Targets, yolov1_loss
from .yolov1_targets import decode_boxes, encode_boxes, find_responsible

NUM_PREDICTORS = 2
"""B of the paper."""


@MODELS.register_module()
class YOLOV1Head(BaseDenseHead):
    """Head of YOLOv1 on a grid of S x S cells with B = 2 predictors each.

    The loss is eq. 3 of `You Only Look Once
    <https://arxiv.org/abs/1506.02640>`_, see
    :func:`mmfba.models.losses.yolov1_loss`. All outputs are linear, as in the
    paper, and the network predicts the roots of width and height themselves.

    The layers are those of a dense head: convs, and a conv instead of the
    paper's fully connected layers. A feature that is larger than the grid is
    average-pooled to it first.

    Args:
        num_classes (int): C.
        in_channels (int): Channels of the feature.
        grid_size (int): S. Defaults to 7.
        stacked_convs (int): Convs before the predicting one. Defaults to 4.
        feat_channels (int): Their channels. Defaults to 1024.
        norm_cfg (dict, optional): Normalisation of the convs. Defaults to
            None.
        train_cfg (dict, optional): Not used; mmdet's detectors set it.
            Defaults to None.
        test_cfg (dict, optional): ``score_thr``, ``nms_pre``, ``nms`` and
            ``max_per_img``, as of other heads of mmdet. Defaults to None.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        grid_size: int = 7,
        stacked_convs: int = 4,
        feat_channels: int = 1024,
        norm_cfg: Optional[Dict[str, Any]] = None,
        train_cfg: Optional[Dict[str, Any]] = None,
        test_cfg: Optional[Dict[str, Any]] = None,
    ) -> None:
        small = dict(type='Normal', std=0.01)
        super().__init__(dict(small, override=dict(small, name='conv_pred')))
        self.num_classes = num_classes
        self.grid_size = grid_size
        self.test_cfg = test_cfg
        cfg = dict(
            kernel_size=3,
            padding=1,
            norm_cfg=norm_cfg,
            act_cfg=dict(type='LeakyReLU', negative_slope=0.1),
        )
        widths = [in_channels] + [feat_channels] * stacked_convs
        self.convs = nn.Sequential(
            *(ConvModule(a, b, **cfg) for a, b in zip(widths, widths[1:]))
        )
        self.conv_pred = nn.Conv2d(
            widths[-1], NUM_PREDICTORS * 5 + num_classes, 3, padding=1
        )

    def forward(self, x: Tuple[Tensor, ...]) -> Tuple[Tensor]:
        """Predict boxes, confidences and classes of all cells.

        Args:
            x (tuple[Tensor]): One feature, (N, in_channels, H, W).

        Returns:
            tuple[Tensor]: One map (N, B * 5 + C, S, S): for each predictor
            its encoded box and confidence, then the classes of the cell.

        Raises:
            ValueError: If there are several features, or the feature is
                smaller than the grid.
        """
        if len(x) != 1:
            raise ValueError(
                f'YOLOV1Head reads one feature, but gets {len(x)}: set '
                'backbone.out_indices to the last stage'
            )
        size, grid = tuple(x[0].shape[-2:]), self.grid_size
        if min(size) < grid:
            raise ValueError(
                f'bbox_head.grid_size={grid}: the feature has only {size} '
                'positions: use a smaller grid, or larger images'
            )
        feature = F.adaptive_avg_pool2d(x[0], grid)
        return (self.conv_pred(self.convs(feature)),)

    def loss_by_feat(
        self,
        pred_map: Tensor,
        batch_gt_instances: List[InstanceData],
        batch_img_metas: List[Dict[str, Any]],
        batch_gt_instances_ignore: Optional[List[InstanceData]] = None,
    ) -> Dict[str, Tensor]:
        """The five terms of eq. 3, divided by the number of images."""
        outputs = self._split(pred_map)
        shape = tuple(batch_img_metas[0]['batch_input_shape'])
        cells = self._cells(shape, outputs[0])
        with torch.no_grad():
            targets = [
                self.get_targets(cells, boxes, gt, shape)
                for boxes, gt in zip(outputs[0], batch_gt_instances)
            ]
        targets = YOLOV1Targets(*map(torch.stack, zip(*targets)))
        return yolov1_loss(*outputs, targets)

    def get_targets(
        self,
        cells: Tensor,
        boxes: Tensor,
        gt_instances: InstanceData,
        img_shape: Tuple[int, int],
    ) -> YOLOV1Targets:
        """Targets of one image, of the dtype of the boxes.

        Args:
            cells (Tensor): The cell of each predictor, (N, 4).
            boxes (Tensor): The encoded box that it predicts, (N, 4).
            gt_instances (InstanceData): ``bboxes`` (M, 4) and ``labels``.
            img_shape (tuple[int, int]): Height and width of the input.
        """
        predicted = decode_boxes(cells, boxes, img_shape)
        found, ious = find_responsible(cells, predicted, gt_instances.bboxes)
        responsible = (found > 0).to(boxes)
        classes = boxes.new_zeros(len(boxes), self.num_classes)
        if len(gt_instances):
            index = (found - 1).clamp(min=0)
            boxes = encode_boxes(cells, gt_instances.bboxes[index], img_shape)
            labels = gt_instances.labels[index].masked_fill(found == 0, -1)
            numbers = torch.arange(self.num_classes, device=labels.device)
            classes = (labels[:, None] == numbers).to(responsible)
        return YOLOV1Targets(
            responsible,
            boxes.to(responsible),
            ious,
            classes.unflatten(0, (-1, NUM_PREDICTORS)).sum(dim=1),
        )

    def predict_by_feat(
        self,
        pred_map: Tensor,
        batch_img_metas: List[Dict[str, Any]],
        cfg: Optional[Any] = None,
        rescale: bool = False,
        with_nms: bool = True,
    ) -> List[InstanceData]:
        """Boxes of each image, arguments as in mmdet; a score is the product
        of class probability and confidence."""
        cfg = self.test_cfg if cfg is None else cfg
        shape = tuple(batch_img_metas[0]['batch_input_shape'])
        boxes, confidences, classes = self._split(pred_map)
        cells = self._cells(shape, boxes)
        results = []
        for i, meta in enumerate(batch_img_metas):
            # Linear outputs: two negative factors are no high score.
            scores = classes[i].repeat_interleave(NUM_PREDICTORS, dim=0)
            scores = scores.clamp(0, 1) * confidences[i, :, None].clamp(0, 1)
            scores, labels, keep, _ = filter_scores_and_topk(
                scores,
                cfg.get('score_thr', 0),
                cfg.get('nms_pre', scores.numel()),
            )
            bboxes = decode_boxes(cells[keep], boxes[i, keep], shape)
            limit = bboxes.new_tensor(meta['img_shape'][1::-1]).repeat(2)
            bboxes = bboxes.clamp(min=0).minimum(limit)
            found = InstanceData(bboxes=bboxes, scores=scores, labels=labels)
            results.append(
                self._bbox_post_process(found, cfg, rescale, with_nms, meta)
            )
        return results

    def _split(self, pred_map: Tensor) -> Tuple[Tensor, Tensor, Tensor]:
        """Encoded boxes (N, S * S * B, 4), confidences (N, S * S * B) and
        classes (N, S * S, C), at least in single precision."""
        wide = torch.promote_types(pred_map.dtype, torch.float32)
        cells = pred_map.to(wide).flatten(2).transpose(1, 2)
        predictors, classes = cells.split(
            [NUM_PREDICTORS * 5, self.num_classes], dim=2
        )
        predictors = predictors.unflatten(2, (-1, 5)).flatten(1, 2)
        return predictors[..., :4], predictors[..., 4], classes

    def _cells(self, img_shape: Tuple[int, int], like: Tensor) -> Tensor:
        """The cell (x1, y1, x2, y2) of each predictor, (S * S * B, 4)."""
        y, x = (
            torch.arange(self.grid_size + 1, device=like.device).to(like)
            * (length / self.grid_size)
            for length in img_shape
        )
        corners = [
            *torch.meshgrid(x[:-1], y[:-1], indexing='xy'),
            *torch.meshgrid(x[1:], y[1:], indexing='xy'),
        ]
        cells = torch.stack(corners, dim=-1).flatten(0, 1)
        return cells.repeat_interleave(NUM_PREDICTORS, dim=0)
