# Copyright (c) mmfba authors.
"""Metrics that upstream lacks."""

from mmfba.models.optional import is_installed, register_missing
from mmfba.registry import METRICS

if is_installed('mmdet'):
    from .classwise_voc_metric import ClasswiseVOCMetric

    __all__ = ['ClasswiseVOCMetric']
else:
    register_missing('mmdet', 'ClasswiseVOCMetric', registry=METRICS)
