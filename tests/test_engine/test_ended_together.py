# Copyright (c) mmfba authors.
"""How a process of several ends; test_group_training.py runs whole ones."""

import os
import time

import pytest
from torch import distributed as dist

from mmfba.engine.ended_together import ended_together


class _Ended(BaseException):
    """Of this process, which goes on."""


@pytest.fixture
def second_of_two(monkeypatch):
    waited = []

    def end(status):
        raise _Ended(status)

    monkeypatch.setattr(dist, 'is_initialized', lambda: True)
    monkeypatch.setattr(dist, 'get_world_size', lambda: 2)
    monkeypatch.setattr(dist, 'get_rank', lambda: 1)
    monkeypatch.setattr(time, 'sleep', waited.append)
    monkeypatch.setattr(os, '_exit', end)
    return waited


def _end_with(error, cause=None):
    with pytest.raises(_Ended, match='1'), ended_together():
        raise error from cause


GLOO = RuntimeError('[a/gloo/transport/pair.cc:5] Connection closed by peer')


def test_a_process_names_itself_and_shows_where(second_of_two, capsys):
    _end_with(LookupError('a fault'))
    traceback, *lines = capsys.readouterr().err.rpartition('error: ')
    assert lines[1].startswith('rank 1 of 2 (')
    assert lines[1].endswith('): LookupError: a fault\n')
    assert traceback.startswith('Traceback') and not second_of_two


def test_a_message_for_users_stays_one_line(second_of_two, capsys):
    _end_with(SystemExit('error: no data'))
    line = capsys.readouterr().err
    assert line.startswith('error: rank 1 of 2 (')
    assert line.endswith('): no data\n') and line.count('\n') == 1


@pytest.mark.parametrize(
    'error', [(GLOO,), (SystemExit(f'error: {GLOO}'), GLOO)]
)
def test_who_lost_the_others_is_brief_and_last(error, second_of_two, capsys):
    _end_with(*error)
    line = capsys.readouterr().err
    assert 'lost the others: ' in line and line.count('\n') == 1
    assert second_of_two == [10]


def test_what_is_no_failure_goes_on(second_of_two):
    with pytest.raises(SystemExit), ended_together():
        raise SystemExit(0)
    with pytest.raises(KeyboardInterrupt), ended_together():
        raise KeyboardInterrupt


def test_one_process_raises_as_ever():
    with pytest.raises(LookupError), ended_together():
        raise LookupError
