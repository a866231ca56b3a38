# Copyright (c) mmfba authors.
"""Datasets that upstream lacks."""

from mmfba.models.optional import is_installed, register_missing
from mmfba.registry import DATASETS

if is_installed('mmpretrain'):
    from .stl10 import STL10
    from .svhn import SVHN

    __all__ = ['STL10', 'SVHN']
else:
    register_missing('mmpretrain', 'STL10', 'SVHN', registry=DATASETS)
