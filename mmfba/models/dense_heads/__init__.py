# Copyright (c) mmfba authors.
from .canvas_fcos_head import CanvasFCOSHead
from .yolov1_head import YOLOV1Head

__all__ = ['CanvasFCOSHead', 'YOLOV1Head']
