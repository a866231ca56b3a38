# Copyright (c) mmfba authors.
"""tools/model_converters/publish_model.py as its user sees it."""

import pytest
import torch
from local_models import build, config
from mmengine.logging import HistoryBuffer
from run_tool import load_tool


@pytest.fixture
def publish_model(tmp_path):
    """Runs the tool on a classifier's checkpoint."""
    config('classification', num_modules=2).dump(str(tmp_path / 'cfg.py'))
    state = build('classification', num_modules=2).state_dict()
    torch.save(
        dict(state_dict=state, hub=HistoryBuffer()), tmp_path / 'old.pth'
    )
    torch.save(dict(state_dict=state), tmp_path / 'new.pth')

    def run(checkpoint, *argv):
        paths = [str(tmp_path / n) for n in ('cfg.py', checkpoint, 'out.pth')]
        load_tool('model_converters/publish_model').main([*paths, *argv])

    return run


def test_prints_the_files_and_what_needs_mmfba(
    publish_model, tmp_path, capsys
):
    publish_model('new.pth')
    weights, new_config, needs = capsys.readouterr().out.splitlines()
    torch.load(weights, weights_only=True)
    assert new_config == str(tmp_path / 'out.py')
    assert needs == 'The config needs mmfba for mmfba.CIFARResNet.'


def test_checkpoints_with_objects(publish_model, tmp_path, capsys):
    with pytest.raises(SystemExit, match='HistoryBuffer.*--trust-checkpoint'):
        publish_model('old.pth')
    assert not list(tmp_path.glob('out*'))
    publish_model('old.pth', '--trust-checkpoint')
    weights = capsys.readouterr().out.splitlines()[0]
    assert 'hub' not in torch.load(weights, weights_only=True)


def test_options_and_errors(publish_model, tmp_path):
    depth = 'model.backbone.depth=32'
    with pytest.raises(SystemExit, match='error: .*do not fit.*layer1.3'):
        publish_model('new.pth', '--cfg-options', depth)
    assert not list(tmp_path.glob('out*'))
