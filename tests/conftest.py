# Copyright (c) mmfba authors.
import logging
from importlib.util import find_spec

import pytest
import torch
from mmengine.registry import DefaultScope
from mmengine.visualization import Visualizer

ABSENT = [x for x in ('mmdet', 'mmpretrain', 'mmagic') if not find_spec(x)]


def skip_what_needs_the_absent():
    """Skip tests of a library that is not installed: each is optional."""
    outcome = yield
    if outcome.excinfo:
        for name in ABSENT:
            if name in str(outcome.excinfo[1]):
                outcome.force_exception(pytest.skip.Exception(f'needs {name}'))


pytest_runtest_setup = pytest_runtest_call = pytest.hookimpl(
    skip_what_needs_the_absent, hookwrapper=True
)


@pytest.fixture(autouse=True, scope='session')
def one_thread():
    """Tiny tensors gain nothing from more, and lose much on busy cores."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def nothing_current():
    """No test finds its classes by the scope that another one left, draws by
    its visualizer, or is silent because a tool in it was."""
    logging.disable(logging.NOTSET)
    DefaultScope._instance_dict.clear()
    Visualizer._instance_dict.clear()
