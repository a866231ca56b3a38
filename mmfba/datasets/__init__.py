# Copyright (c) mmfba authors.
"""Datasets that upstream lacks; they need mmpretrain."""

from .stl10 import STL10
from .svhn import SVHN

__all__ = ['STL10', 'SVHN']
