# Copyright (c) mmfba authors.
from .lean_sigmoid_focal_loss import LeanSigmoidFocalLoss
from .yolov1_loss import YOLOV1Targets, yolov1_loss

__all__ = ['LeanSigmoidFocalLoss', 'YOLOV1Targets', 'yolov1_loss']
