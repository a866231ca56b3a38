# Copyright (c) mmfba authors.
"""Metrics that upstream lacks; they need mmdet."""

from .classwise_voc_metric import ClasswiseVOCMetric

__all__ = ['ClasswiseVOCMetric']
