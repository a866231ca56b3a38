# Copyright (c) mmfba authors.
"""Importing this lets mmpretrain's CIFAR10 read other files than the real.

For ``custom_imports`` of a config in a process of its own.
"""

from mmpretrain.datasets import CIFAR10

CIFAR10.train_list = [[name, None] for name, _ in CIFAR10.train_list]
CIFAR10.test_list = [[name, None] for name, _ in CIFAR10.test_list]
