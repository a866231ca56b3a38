# Copyright (c) mmfba authors.
from typing import Any, Dict, List

from mmdet.evaluation.functional import eval_map
from mmdet.evaluation.metrics import VOCMetric

from mmfba.registry import METRICS


@METRICS.register_module()
class ClasswiseVOCMetric(VOCMetric):
    """mmdet's ``VOCMetric`` that also returns the AP of each class.

    All is computed by mmdet, in both of its modes. Beside its results there
    are ``AP50_<class>`` for each class with objects, which the log's JSON
    file gets too.

    Args:
        **kwargs: Of mmdet's ``VOCMetric``.

    Examples:
        >>> val_evaluator = dict(type='mmfba.ClasswiseVOCMetric')
    """

    def compute_metrics(self, results: List[tuple]) -> Dict[str, Any]:
        """Compute the metrics, by name."""
        metrics = super().compute_metrics(results)
        if self.metric != 'mAP':
            return metrics
        for iou_thr in self.iou_thrs:
            aps = self._class_aps(results, iou_thr)
            name = f'AP{int(iou_thr * 100):02d}'
            metrics.update({f'{name}_{c}': ap for c, ap in aps.items()})
        return metrics

    def _class_aps(
        self, results: List[tuple], iou_thr: float
    ) -> Dict[str, float]:
        """AP of each class that has objects, with the base class' settings."""
        gts, preds = zip(*results)
        _, found = eval_map(
            preds,
            gts,
            scale_ranges=self.scale_ranges,
            iou_thr=iou_thr,
            logger='silent',
            eval_mode=self.eval_mode,
            use_legacy_coordinate=True,
        )
        return {
            name: float(result['ap'])
            for name, result in zip(self.dataset_meta['classes'], found)
            if result['num_gts'] > 0
        }
