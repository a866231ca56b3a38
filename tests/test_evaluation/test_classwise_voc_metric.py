# Copyright (c) mmfba authors.
import pytest
import torch
from mmdet.datasets import VOCDataset
from mmdet.evaluation.metrics import VOCMetric
from mmdet.registry import METRICS

CLASSES = VOCDataset.METAINFO['classes']


def samples(num=6, seed=0):
    """Boxes of a few classes, and detections near some of them."""
    rng = torch.Generator().manual_seed(seed)
    made = []
    for _ in range(num):
        corners = 100 * torch.rand(5, 2, generator=rng)
        sizes = 20 + 40 * torch.rand(5, 2, generator=rng)
        boxes = torch.cat([corners, corners + sizes], dim=1)
        labels = torch.tensor([0, 7, 7, 14, 19])
        noise = 16 * torch.rand(5, 4, generator=rng) - 8
        made.append(
            dict(
                gt_instances=dict(bboxes=boxes, labels=labels),
                ignored_instances=dict(
                    bboxes=torch.zeros(0, 4),
                    labels=torch.zeros(0, dtype=torch.long),
                ),
                pred_instances=dict(
                    bboxes=(boxes + noise)[:4],
                    labels=torch.tensor([0, 7, 14, 14]),
                    scores=torch.rand(4, generator=rng),
                ),
            )
        )
    return made


def evaluate(metric, data, dataset_type='VOC2007'):
    metric.dataset_meta = dict(classes=CLASSES, dataset_type=dataset_type)
    metric.process({}, data)
    return metric.evaluate(len(data))


def average_precision(data, label, iou_thr, mode):
    """VOC's AP of one class, from its definition, boxes with ends included."""
    found, num = [], 0
    for sample in data:
        gt = sample['gt_instances']
        boxes = gt['bboxes'][gt['labels'] == label].double()
        num += len(boxes)
        taken = set()
        pred = sample['pred_instances']
        order = pred['scores'].argsort(descending=True)
        for i in [i for i in order if pred['labels'][i] == label]:
            box, hit = pred['bboxes'][i].double(), False
            ious = []
            for other in boxes:
                low, high = box.maximum(other), box.minimum(other)
                sides = (high[2:] - low[:2] + 1).clamp(min=0)
                areas = [(b[2:] - b[:2] + 1).prod() for b in (box, other)]
                both = sides.prod()
                ious.append(float(both / (sum(areas) - both)))
            if ious and max(ious) >= iou_thr:
                best = ious.index(max(ious))
                hit = best not in taken
                taken.add(best)
            found.append((float(pred['scores'][i]), hit))
    found.sort(key=lambda pair: -pair[0])
    points, hits = [], 0
    for rank, (_, hit) in enumerate(found, start=1):
        hits += hit
        points.append((hits / num, hits / rank))

    def best_precision(recall):
        return max((p for r, p in points if r >= recall), default=0.0)

    if mode == '11points':
        # Recalls are kept in single precision there.
        return sum(best_precision(i / 10 - 1e-7) for i in range(11)) / 11
    recalls = [0.0] + sorted({r for r, _ in points})
    return sum(
        (b - a) * best_precision(b) for a, b in zip(recalls, recalls[1:])
    )


@pytest.mark.parametrize('mode', ['11points', 'area'])
def test_class_ap_is_vocs(mode):
    data = samples()
    metric = METRICS.build(
        dict(type='mmfba.ClasswiseVOCMetric', eval_mode=mode)
    )
    result = evaluate(metric, data, None)
    for label in (0, 7, 14, 19):
        expected = average_precision(data, label, 0.5, mode)
        got = result[f'pascal_voc/AP50_{CLASSES[label]}']
        assert got == pytest.approx(expected, abs=1e-6)
    assert 0 < result['pascal_voc/AP50_cat'] < 1
    assert result['pascal_voc/AP50_tvmonitor'] == 0


@pytest.mark.parametrize(
    'options',
    [
        dict(eval_mode='area'),
        dict(eval_mode='11points', iou_thrs=[0.5, 0.75]),
        dict(metric='recall', iou_thrs=[0.5]),
    ],
)
def test_upstreams_results_are_kept(options):
    data = samples()
    cfg = dict(type='mmfba.ClasswiseVOCMetric', **options)
    result = evaluate(METRICS.build(cfg), data)
    expected = evaluate(VOCMetric(**options), data)
    assert {k: result[k] for k in expected} == expected
    classes = [k for k in result if k not in expected]
    thresholds = options.get('iou_thrs', [0.5])
    if options.get('metric') == 'recall':
        assert not classes
        return
    assert len(classes) == 4 * len(thresholds)  # those with objects
    for threshold in thresholds:
        name = f'pascal_voc/AP{int(100 * threshold)}'
        aps = [result[k] for k in classes if k.startswith(name)]
        mean = sum(aps) / len(aps)
        assert result[name] == pytest.approx(mean, abs=0.5e-3)
