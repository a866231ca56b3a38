# Copyright (c) mmfba authors.
"""Datasets that upstream lacks; they need mmpretrain and torchvision."""

from .torchvision_dataset import STL10, SVHN

__all__ = ['STL10', 'SVHN']
