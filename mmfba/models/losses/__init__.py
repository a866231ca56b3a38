# Copyright (c) mmfba authors.
from .lean_sigmoid_focal_loss import LeanSigmoidFocalLoss

__all__ = ['LeanSigmoidFocalLoss']
