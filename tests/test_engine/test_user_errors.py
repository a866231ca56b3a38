# Copyright (c) mmfba authors.
import pytest
from mmengine.runner import load_checkpoint
from torch import nn

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


def test_weights_that_cannot_be_downloaded(monkeypatch, tmp_path):
    monkeypatch.setenv('TORCH_HOME', str(tmp_path))
    # There is nobody at this port.
    url = 'http://127.0.0.1:9/resnet50.pth'
    with pytest.raises(SystemExit) as error, one_line_errors():
        load_checkpoint(nn.Linear(1, 1), url)
    path = tmp_path / 'hub/checkpoints/resnet50.pth'
    assert url in str(error.value) and str(path) in str(error.value)
    assert 'model.backbone.init_cfg=None' in str(error.value)
