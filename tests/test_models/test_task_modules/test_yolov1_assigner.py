# Copyright (c) mmfba authors.
import torch
from mmengine.structures import InstanceData

from mmfba.models.task_modules import YOLOV1Assigner
from mmfba.registry import TASK_UTILS

# Two cells of 10x10 pixels side by side, two predictors each.
CELLS = torch.tensor([[0.0, 0, 10, 10], [10.0, 0, 20, 10]])
CELLS = CELLS.repeat_interleave(2, dim=0)


def assign(boxes, gt_boxes, gt_labels):
    return YOLOV1Assigner().assign(
        InstanceData(
            priors=CELLS, bboxes=torch.tensor(boxes, dtype=torch.float)
        ),
        InstanceData(
            bboxes=torch.tensor(gt_boxes, dtype=torch.float).view(-1, 4),
            labels=torch.tensor(gt_labels, dtype=torch.long),
        ),
    )


BOXES = [[0, 0, 4, 8], [0, 0, 8, 8], [12, 0, 20, 8], [10, 0, 12, 2]]


def test_best_predictor_of_the_cell_is_responsible():
    result = assign(BOXES, [[0, 0, 8, 6], [11, 0, 20, 8]], [3, 5])
    assert result.num_gts == 2
    assert result.gt_inds.tolist() == [0, 1, 2, 0]
    assert result.labels.tolist() == [-1, 3, 5, -1]
    expected = torch.tensor([0, 48 / 64, 64 / 72, 0])
    assert torch.allclose(result.max_overlaps, expected)


def test_predictors_of_other_cells_are_not_responsible():
    # The second cell's first box fits better, but the center is in the first.
    result = assign(
        [[0, 0, 1, 1], [0, 0, 4, 2], [2, 0, 16, 8], [10, 0, 12, 2]],
        [[2, 0, 16, 8]],
        [0],
    )
    assert result.gt_inds.tolist() == [0, 1, 0, 0]


def test_a_cell_detects_the_first_of_its_objects():
    result = assign(BOXES, [[0, 0, 4, 8], [0, 0, 8, 8]], [1, 2])
    assert result.gt_inds.tolist() == [1, 0, 0, 0]
    result = assign(BOXES, [[0, 0, 8, 8], [0, 0, 4, 8]], [2, 1])
    assert result.gt_inds.tolist() == [0, 1, 0, 0]


def test_center_on_a_border_belongs_to_one_cell():
    result = assign(BOXES, [[5, 0, 15, 8]], [0])
    assert result.gt_inds.tolist() == [0, 0, 1, 0]


def test_without_overlap_one_is_responsible_nevertheless():
    result = assign([[18, 8, 19, 9]] * 4, [[0, 0, 8, 8]], [4])
    assert result.gt_inds.tolist() == [1, 0, 0, 0]
    assert result.max_overlaps.tolist() == [0, 0, 0, 0]


def test_no_objects():
    result = assign(BOXES, [], [])
    assert result.num_gts == 0
    assert result.gt_inds.tolist() == [0] * 4
    assert result.labels.tolist() == [-1] * 4
    assert result.max_overlaps.tolist() == [0] * 4


def test_is_registered_for_configs():
    assigner = TASK_UTILS.build(dict(type='mmfba.YOLOV1Assigner'))
    assert isinstance(assigner, YOLOV1Assigner)
