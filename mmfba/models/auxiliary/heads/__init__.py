# Copyright (c) mmfba authors.
from .sr_head import SRHead
from .task_head import TaskHead

__all__ = ['SRHead', 'TaskHead']
