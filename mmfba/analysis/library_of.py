# Copyright (c) mmfba authors.
from typing import Optional

LIBRARIES = ('mmpretrain', 'mmdet', 'mmagic')


def library_of(cls: type) -> Optional[str]:
    """The library that a class, or the first such parent of it, is of."""
    packages = (parent.__module__.split('.')[0] for parent in cls.__mro__)
    return next((name for name in packages if name in LIBRARIES), None)
