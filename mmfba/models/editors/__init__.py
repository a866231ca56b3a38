# Copyright (c) mmfba authors.
from .local_edit_model import LocalEditModel

__all__ = ['LocalEditModel']
