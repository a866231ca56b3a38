# Copyright (c) mmfba authors.
import torch

from mmfba.models.task_modules import YOLOV1BBoxCoder
from mmfba.registry import TASK_UTILS

SHAPE = (448, 224)  # height and width


def random_boxes(num, seed=0):
    rng = torch.Generator().manual_seed(seed)
    scale = torch.tensor([SHAPE[1], SHAPE[0]] * 2)
    boxes = torch.rand(num, 4, generator=rng, dtype=torch.float64) * scale
    a, b = boxes[:, :2], boxes[:, 2:]
    return torch.cat([a.minimum(b), a.maximum(b)], dim=1)


def test_decoding_is_the_inverse_of_encoding():
    coder, cells, boxes = YOLOV1BBoxCoder(), random_boxes(50), random_boxes(50)
    boxes = boxes.flip(0)
    codes = coder.encode(cells, boxes, SHAPE)
    torch.testing.assert_close(
        coder.decode(cells, codes, SHAPE), boxes, rtol=1e-12, atol=1e-10
    )


def test_codes_are_those_of_the_paper():
    # A cell of 32x64 pixels at (64, 128), a box of 56x28 at its middle.
    cell = torch.tensor([[64.0, 128.0, 96.0, 192.0]])
    box = torch.tensor([[80 - 28.0, 160 - 14.0, 80 + 28.0, 160 + 14.0]])
    code = YOLOV1BBoxCoder().encode(cell, box, SHAPE)
    # w / 224 = 1/4, h / 448 = 1/16
    assert torch.allclose(code, torch.tensor([[0.5, 0.5, 0.5, 0.25]]))


def test_size_of_a_negative_root():
    # The network's outputs are linear: a root below 0 is squared too.
    cell, code = torch.zeros(1, 4), torch.tensor([[0.0, 0.0, -0.5, 0.5]])
    box = YOLOV1BBoxCoder().decode(cell, code, SHAPE)
    assert torch.equal(box, torch.tensor([[-28.0, -56.0, 28.0, 56.0]]))


def test_is_registered_for_configs():
    coder = TASK_UTILS.build(dict(type='mmfba.YOLOV1BBoxCoder'))
    assert isinstance(coder, YOLOV1BBoxCoder)
