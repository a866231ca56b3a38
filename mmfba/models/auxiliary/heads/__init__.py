# Copyright (c) mmfba authors.
from .box_head import BoxHead
from .sr_head import SRHead
from .task_head import TaskHead

__all__ = ['BoxHead', 'SRHead', 'TaskHead']
