# Copyright (c) mmfba authors.
from .local_image_classifier import LocalImageClassifier

__all__ = ['LocalImageClassifier']
