# Copyright (c) mmfba authors.
import copy

import pytest
import torch
from mmdet.structures import DetDataSample
from mmdet.testing import demo_mm_inputs
from mmengine.config import ConfigDict
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData

from mmfba.models.dense_heads import YOLOV1Head
from mmfba.models.dense_heads.yolov1_targets import encode_boxes

CLASSES = 3
TEST_CFG = ConfigDict(
    score_thr=0.05, nms=dict(type='nms', iou_threshold=0.5), max_per_img=20
)


def make_head(**options):
    settings = dict(
        in_channels=4,
        grid_size=3,
        stacked_convs=1,
        feat_channels=8,
        test_cfg=TEST_CFG,
    )
    settings.update(options)
    return YOLOV1Head(CLASSES, **settings)


def objects(*rows):
    """Boxes with their labels, (x1, y1, x2, y2, label) each."""
    rows = torch.tensor(rows, dtype=torch.float64).view(-1, 5)
    return InstanceData(bboxes=rows[:, :4], labels=rows[:, 4].long())


def iou(a, b):
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    both = max(width, 0) * max(height, 0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return both / (sum(areas) - both)


def equation_3(pred_map, gts, size):
    """Eq. 3 of the paper, one image, cell, predictor and class at a time."""
    num_boxes, coord, noobj = 2, 5.0, 0.5
    width, height = size
    rows, cols = pred_map.shape[2:]
    total = 0.0
    for image, gt in zip(pred_map, gts):
        for row in range(rows):
            for col in range(cols):
                cell = image[:, row, col]
                found = None
                for box, label in zip(gt.bboxes.tolist(), gt.labels.tolist()):
                    cx = (box[0] + box[2]) / 2 / width * cols
                    cy = (box[1] + box[3]) / 2 / height * rows
                    if (int(cx), int(cy)) == (col, row) and found is None:
                        w = (box[2] - box[0]) / width
                        h = (box[3] - box[1]) / height
                        found = box, label, (cx - col, cy - row, w, h)
                ious = []
                for j in range(num_boxes):
                    x, y, root_w, root_h = cell[5 * j : 5 * j + 4].tolist()
                    cx = (col + x) * width / cols
                    cy = (row + y) * height / rows
                    w, h = root_w**2 * width, root_h**2 * height
                    box = (cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2)
                    ious.append(iou(box, found[0]) if found else 0)
                best = ious.index(max(ious)) if found else None
                for j in range(num_boxes):
                    x, y, root_w, root_h, confidence = cell[5 * j : 5 * j + 5]
                    if j != best:
                        total = total + noobj * confidence**2
                        continue
                    tx, ty, tw, th = found[2]
                    total = total + coord * ((x - tx) ** 2 + (y - ty) ** 2)
                    total = total + coord * (
                        (root_w - tw**0.5) ** 2 + (root_h - th**0.5) ** 2
                    )
                    total = total + (confidence - ious[j]) ** 2
                if found:
                    for c in range(CLASSES):
                        p = cell[5 * num_boxes + c]
                        total = total + (p - float(c == found[1])) ** 2
    return total / len(pred_map)


IMAGES = {
    'objects in several cells': [
        objects((10, 20, 50, 70, 0), (60, 10, 80, 100, 2)),
        objects((0, 0, 90, 120, 1)),
    ],
    'no boxes in one image': [objects(), objects((10, 20, 50, 70, 0))],
    'no boxes at all': [objects(), objects()],
    'two objects in one cell': [
        objects((10, 50, 30, 75, 0), (5, 45, 40, 80, 1)),
        objects((5, 45, 40, 80, 1), (10, 50, 30, 75, 0)),
    ],
}


@pytest.mark.parametrize('gts', IMAGES.values(), ids=IMAGES)
def test_equation_of_the_paper(gts):
    head = make_head()
    rng = torch.Generator().manual_seed(0)
    pred_map = torch.rand(len(gts), 10 + CLASSES, 3, 3, generator=rng)
    pred_map = (1.5 * pred_map.double() - 0.5).requires_grad_()
    expected = equation_3(pred_map, gts, (90, 120))
    (wanted,) = torch.autograd.grad(expected, pred_map)
    metas = [dict(batch_input_shape=(120, 90))] * len(gts)
    losses = head.loss_by_feat(pred_map, gts, metas)
    assert list(losses) == [
        f'loss_{term}' for term in ('xy', 'wh', 'obj', 'noobj', 'cls')
    ]
    total = sum(losses.values())
    (grad,) = torch.autograd.grad(total, pred_map)
    assert total.item() == pytest.approx(expected.item(), rel=1e-12)
    torch.testing.assert_close(grad, wanted, rtol=1e-12, atol=1e-14)


def test_half_precision_is_computed_in_single():
    head = make_head()
    pred_map = torch.rand(2, 10 + CLASSES, 3, 3).half()
    gts = [objects((10, 20, 50, 70, 0))] * 2
    metas = [dict(batch_input_shape=(448, 448))] * 2
    losses = head.loss_by_feat(pred_map, gts, metas)
    wide = head.loss_by_feat(pred_map.float(), gts, metas)
    assert losses == wide
    assert all(loss.dtype == torch.float32 for loss in losses.values())


def test_what_was_encoded_is_predicted():
    head = make_head()
    pred_map = torch.zeros(1, 10 + CLASSES, 3, 3)
    gt = objects((10, 20, 50, 70, 0), (60, 10, 80, 100, 2))
    shape = (120, 90)
    for box, label in zip(gt.bboxes.float(), gt.labels):
        x, y = int(box[::2].mean() // 30), int(box[1::2].mean() // 40)
        cell = torch.tensor([[30, 40, 30, 40]]) * torch.tensor(
            [[x, y, x + 1, y + 1]]
        )
        code = encode_boxes(cell, box[None], shape)[0]
        values = torch.tensor([*code, 0.9])
        pred_map[0, -5 - CLASSES : -CLASSES, y, x] = values
        pred_map[0, 10 + label, y, x] = 1.0 - 0.1 * label
    meta = dict(
        batch_input_shape=shape, img_shape=(110, 90), scale_factor=(0.5, 2)
    )
    (found,) = head.predict_by_feat(pred_map, [meta])
    assert found.labels.tolist() == gt.labels.tolist()
    assert torch.allclose(found.scores, torch.tensor([0.9, 0.72]))
    assert torch.allclose(found.bboxes, gt.bboxes.float(), atol=1e-4)
    (rescaled,) = head.predict_by_feat(pred_map, [meta], rescale=True)
    factor = torch.tensor([0.5, 2, 0.5, 2])
    assert torch.allclose(rescaled.bboxes * factor, found.bboxes)


def test_boxes_end_at_the_image_and_nms_drops_doubles():
    head = make_head()
    pred_map = torch.zeros(1, 10 + CLASSES, 3, 3)
    # Both predictors of the last cell see the whole image.
    pred_map[0, :10, 2, 2] = torch.tensor([-0.5, -0.5, 1.2, 1.2, 0.8] * 2)
    pred_map[0, 10, 2, 2] = 1
    meta = dict(batch_input_shape=(96, 96), img_shape=(90, 80))
    (found,) = head.predict_by_feat(pred_map, [meta])
    assert found.bboxes.tolist() == [[0, 0, 80, 90]]
    (found,) = head.predict_by_feat(pred_map, [meta], with_nms=False)
    assert len(found) == 2


def test_two_negative_factors_are_no_detection():
    head = make_head()
    pred_map = torch.full((1, 10 + CLASSES, 3, 3), -0.9)
    meta = dict(batch_input_shape=(96, 96), img_shape=(96, 96))
    (found,) = head.predict_by_feat(pred_map, [meta])
    assert len(found) == 0 and found.bboxes.shape == (0, 4)


def test_grid_does_not_depend_on_the_size_of_the_feature():
    head = make_head(grid_size=2)
    for size in ((2, 2), (4, 6), (5, 3)):
        assert head((torch.rand(1, 4, *size),))[0].shape[2:] == (2, 2)
    feature = torch.rand(1, 4, 4, 6)
    pooled = feature.view(1, 4, 2, 2, 2, 3).mean(dim=(3, 5))
    assert torch.allclose(head((feature,))[0], head((pooled,))[0], atol=1e-6)


def test_several_features_are_refused():
    with pytest.raises(ValueError, match='one feature, but gets 2: set back'):
        make_head()((torch.rand(1, 4, 3, 3),) * 2)


def test_feature_smaller_than_the_grid_is_refused():
    with pytest.raises(ValueError, match=r'grid_size=3: .* only \(4, 2\)'):
        make_head()((torch.rand(1, 4, 4, 2),))


def build_detector():
    init_default_scope('mmdet')
    from mmengine.registry import MODELS

    return MODELS.build(
        dict(
            type='SingleStageDetector',
            data_preprocessor=dict(
                type='DetDataPreprocessor', pad_size_divisor=32
            ),
            backbone=dict(
                type='ResNet', depth=18, base_channels=4, out_indices=(3,)
            ),
            bbox_head=dict(
                type='mmfba.YOLOV1Head',
                num_classes=CLASSES,
                in_channels=32,
                grid_size=2,
                feat_channels=8,
            ),
            test_cfg=TEST_CFG,
        )
    )


def test_detector_learns_and_predicts():
    detector = build_detector()
    batch = demo_mm_inputs(
        3,
        [[3, 64, 96], [3, 96, 64], [3, 80, 80]],
        num_items=[3, 0, 1],
        num_classes=CLASSES,
    )
    data = detector.data_preprocessor(copy.deepcopy(batch), True)
    losses = detector(**data, mode='loss')
    total, _ = detector.parse_losses(losses)
    total.backward()
    assert len(losses) == 5 and total.isfinite()
    assert all(p.grad is not None for p in detector.bbox_head.parameters())
    detector.eval()
    data = detector.data_preprocessor(batch, False)
    with torch.no_grad():
        samples = detector(**data, mode='predict')
    assert len(samples) == 3
    for sample in samples:
        assert isinstance(sample, DetDataSample)
        found = sample.pred_instances
        assert isinstance(found, InstanceData)
        assert found.bboxes.shape == (len(found.scores), 4)
        assert found.labels.shape == found.scores.shape
