# Copyright (c) mmfba authors.
from .grid_cells import grid_cells
from .yolov1_assigner import YOLOV1Assigner
from .yolov1_bbox_coder import YOLOV1BBoxCoder

__all__ = ['YOLOV1Assigner', 'YOLOV1BBoxCoder', 'grid_cells']
