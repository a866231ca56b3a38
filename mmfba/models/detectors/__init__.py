# Copyright (c) mmfba authors.
from .local_single_stage_detector import LocalSingleStageDetector

__all__ = ['LocalSingleStageDetector']
