# Copyright (c) mmfba authors.
from .cifar_resnet import CIFARResNet

__all__ = ['CIFARResNet']
