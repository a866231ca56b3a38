# Copyright (c) mmfba authors.
import pytest
import torch
from mmengine.registry import DefaultScope


@pytest.fixture(autouse=True, scope='session')
def one_thread():
    """Tiny tensors gain nothing from more, and lose much on busy cores."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def no_default_scope():
    """No test finds its classes by the scope that another one left."""
    DefaultScope._instance_dict.clear()
