# Copyright (c) mmfba authors.
import pytest
import torch


@pytest.fixture(autouse=True, scope='session')
def one_thread():
    """Tiny tensors gain nothing from more, and lose much on busy cores."""
    torch.set_num_threads(1)
