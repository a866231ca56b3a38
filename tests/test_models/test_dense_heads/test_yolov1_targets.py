# Copyright (c) mmfba authors.
import torch

from mmfba.models.dense_heads.yolov1_targets import (
    decode_boxes,
    encode_boxes,
    find_responsible,
)

SHAPE = (448, 224)  # height and width
# Two cells of 10x10 pixels side by side, two predictors each.
CELLS = torch.tensor([[0.0, 0, 10, 10], [10.0, 0, 20, 10]])
CELLS = CELLS.repeat_interleave(2, dim=0)
BOXES = [[0, 0, 4, 8], [0, 0, 8, 8], [12, 0, 20, 8], [10, 0, 12, 2]]


def random_boxes(num, seed=0):
    rng = torch.Generator().manual_seed(seed)
    scale = torch.tensor([SHAPE[1], SHAPE[0]] * 2)
    boxes = torch.rand(num, 4, generator=rng, dtype=torch.float64) * scale
    a, b = boxes[:, :2], boxes[:, 2:]
    return torch.cat([a.minimum(b), a.maximum(b)], dim=1)


def test_decoding_is_the_inverse_of_encoding():
    cells, boxes = random_boxes(50), random_boxes(50)
    boxes = boxes.flip(0)
    codes = encode_boxes(cells, boxes, SHAPE)
    torch.testing.assert_close(
        decode_boxes(cells, codes, SHAPE), boxes, rtol=1e-12, atol=1e-10
    )


def test_codes_are_those_of_the_paper():
    # A cell of 32x64 pixels at (64, 128), a box of 56x28 at its middle.
    cell = torch.tensor([[64.0, 128.0, 96.0, 192.0]])
    box = torch.tensor([[80 - 28.0, 160 - 14.0, 80 + 28.0, 160 + 14.0]])
    code = encode_boxes(cell, box, SHAPE)
    # w / 224 = 1/4, h / 448 = 1/16
    assert torch.allclose(code, torch.tensor([[0.5, 0.5, 0.5, 0.25]]))


def test_size_of_a_negative_root():
    # The network's outputs are linear: a root below 0 is squared too.
    cell, code = torch.zeros(1, 4), torch.tensor([[0.0, 0.0, -0.5, 0.5]])
    box = decode_boxes(cell, code, SHAPE)
    assert torch.equal(box, torch.tensor([[-28.0, -56.0, 28.0, 56.0]]))


def find(boxes, objects):
    return find_responsible(
        CELLS,
        torch.tensor(boxes, dtype=torch.float),
        torch.tensor(objects, dtype=torch.float).view(-1, 4),
    )


def test_best_predictor_of_the_cell_is_responsible():
    found, ious = find(BOXES, [[0, 0, 8, 6], [11, 0, 20, 8]])
    assert found.tolist() == [0, 1, 2, 0]
    expected = torch.tensor([0, 48 / 64, 64 / 72, 0])
    assert torch.allclose(ious, expected)


def test_predictors_of_other_cells_are_not_responsible():
    # The second cell's first box fits better, but the center is in the first.
    found, ious = find(
        [[0, 0, 1, 1], [0, 0, 4, 2], [2, 0, 16, 8], [10, 0, 12, 2]],
        [[2, 0, 16, 8]],
    )
    assert found.tolist() == [0, 1, 0, 0]


def test_a_cell_detects_the_first_of_its_objects():
    found, ious = find(BOXES, [[0, 0, 4, 8], [0, 0, 8, 8]])
    assert found.tolist() == [1, 0, 0, 0]
    found, ious = find(BOXES, [[0, 0, 8, 8], [0, 0, 4, 8]])
    assert found.tolist() == [0, 1, 0, 0]


def test_center_on_a_border_belongs_to_one_cell():
    found, ious = find(BOXES, [[5, 0, 15, 8]])
    assert found.tolist() == [0, 0, 1, 0]


def test_without_overlap_one_is_responsible_nevertheless():
    found, ious = find([[18, 8, 19, 9]] * 4, [[0, 0, 8, 8]])
    assert found.tolist() == [1, 0, 0, 0]
    assert ious.tolist() == [0, 0, 0, 0]


def test_no_objects():
    found, ious = find(BOXES, [])
    assert found.tolist() == [0] * 4
    assert ious.tolist() == [0] * 4
