# Copyright (c) mmfba authors.
import pytest

from mmfba.engine.user_errors import TRACEBACK, explain, one_line_errors


def test_errors_of_other_kinds_keep_their_traceback(monkeypatch):
    for error in (AttributeError, NotImplementedError, ZeroDivisionError):
        with pytest.raises(error), one_line_errors():
            raise error
    monkeypatch.setenv(TRACEBACK, '1')
    with pytest.raises(ValueError), one_line_errors():
        raise ValueError


def test_worker_of_the_data_loader():
    try:
        raise OSError(
            'Caught OSError in DataLoader worker process 0.\n'
            'Original Traceback (most recent call last):\n  File "x"\n'
            'OSError: no file a.jpg\n'
        )
    except OSError as error:
        assert explain(error).startswith('OSError: no file a.jpg')
