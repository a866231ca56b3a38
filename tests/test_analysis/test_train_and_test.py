# Copyright (c) mmfba authors.
import json

import pytest

from mmfba.analysis import train_and_test as module
from mmfba.analysis.train_and_test import train_and_test


@pytest.fixture
def config(tmp_path):
    path = tmp_path / 'config.py'
    path.write_text('model = dict(depth=1)')
    return str(path)


@pytest.fixture
def commands(monkeypatch):
    """Tools that were run, and with which options of the config; they leave
    what they would leave."""
    commands = []

    def run_script(tool, config, *options, output, threads):
        folder = module.Path(options[options.index('--work-dir') + 1])
        _, *cfg_options = ' '.join(options).split(' --cfg-options ')
        commands.append((tool, *cfg_options))
        logs = folder / 'time/vis_data'
        logs.mkdir(parents=True, exist_ok=True)
        if tool == 'tools/train.py':
            times = (dict(time=t, loss=1) for t in (1, 3, 2))
            lines = map(json.dumps, times)
            (logs / 'scalars.json').write_text('\n'.join(lines))
            (folder / 'last_checkpoint').write_text('epoch_1.pth')
        else:
            (folder / 'time/time.json').write_text('{"mAP": 0.5}')

    monkeypatch.setattr(module, 'run_script', run_script)
    return commands


def test_what_is_done_is_not_done_again(config, commands, tmp_path):
    found = train_and_test(config, tmp_path / 'run')
    assert found['metrics'] == dict(mAP=0.5)
    assert found['seconds_per_iter'] == 2
    assert train_and_test(config, tmp_path / 'run') == found
    assert commands == [('tools/train.py',), ('tools/test.py',)]


def test_a_run_of_another_config_is_thrown_away(config, commands, tmp_path):
    train_and_test(config, tmp_path / 'run')
    (tmp_path / 'run/old').touch()
    train_and_test(config, tmp_path / 'run', ['model.depth=2'])
    assert len(commands) == 4
    assert not (tmp_path / 'run/old').exists()


def test_run_options_are_handed_on_but_tell_no_run_apart(
    config, commands, tmp_path
):
    plain = train_and_test(config, tmp_path / 'run', ['model.depth=2'])
    found = train_and_test(
        config, tmp_path / 'run', ['model.depth=2'], None, ['model.wide=True']
    )
    assert len(commands) == 4  # yet no training goes on with others
    assert commands[-1] == ('tools/test.py', 'model.depth=2 model.wide=True')
    assert found['config_hash'] == plain['config_hash']
    assert found['run_options'] == ['model.wide=True']
    assert plain['run_options'] == []


def test_files_of_others_are_kept(config, commands, tmp_path):
    folder = tmp_path / 'configs'
    folder.mkdir()
    (folder / 'mine.py').touch()
    with pytest.raises(SystemExit, match='configs: there are files that no'):
        train_and_test(config, folder)
    assert (folder / 'mine.py').exists() and not commands
