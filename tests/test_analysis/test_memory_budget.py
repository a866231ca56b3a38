# Copyright (c) mmfba authors.
import pytest
import torch

from mmfba.analysis.memory_budget import read_budget


@pytest.mark.parametrize('text', ['8', '8G', '8GB', '8GiB', '8 gib', '8.0g'])
def test_as_gpus_are_sold(text):
    assert read_budget(text) == 2**33


@pytest.mark.parametrize(
    'text, size',
    [('1.5 MiB', 3 * 2**19), ('500MB', 500 * 2**20), ('.5', 2**29)],
)
def test_other_units(text, size):
    assert read_budget(text) == size


@pytest.mark.parametrize('text', ['', 'much', '8 Gb/s', '0GiB', '-1GiB', 'G'])
def test_no_size(text):
    with pytest.raises(ValueError, match='--budget .*: no size; write it as'):
        read_budget(text)


def test_the_gpu_is_asked(monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'mem_get_info', lambda: (7, 8))
    assert read_budget(None) == 7
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    with pytest.raises(ValueError, match='no GPU .* --budget 8GiB'):
        read_budget(None)
