# Copyright (c) mmfba authors.
"""Supervised local learning with a feature bank (FBA) for OpenMMLab."""

from .local_config import localise
from .version import __version__

__all__ = ['__version__', 'localise']
