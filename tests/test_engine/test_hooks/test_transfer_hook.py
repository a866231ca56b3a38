# Copyright (c) mmfba authors.
import copy

import pytest
import torch
from local_models import build
from mmengine.logging import MMLogger
from tiny_runner import make_runner

from mmfba.engine.hooks import TransferHook, transfer_hook

HEAD = dict(head=dict(num_classes=7))


def file_of(model, folder, **changes):
    """A checkpoint of a model, as training writes it."""
    state = dict(model.state_dict(), **changes)
    state = {k: v for k, v in state.items() if v is not None}
    path = folder / 'source.pth'
    torch.save(dict(meta=dict(), state_dict=state), path)
    return str(path)


class _Runner:
    def __init__(self, model, iteration):
        self.model, self.iter, self.cfg = model, iteration, {}


def run_hook(model, checkpoint, leave_out=(), iteration=0):
    hook = TransferHook(checkpoint, leave_out)
    hook.before_train(_Runner(model, iteration))


@pytest.mark.parametrize('source', [dict(), dict(num_modules=3)])
def test_takes_all_but_what_is_left_out(source, tmp_path):
    other = build('classification', HEAD, seed=1, **source)
    model = build('classification', num_modules=2)
    before = copy.deepcopy(model.state_dict())
    run_hook(model, file_of(other, tmp_path), ['head.fc'])
    taken = other.state_dict()
    kept = ('head.fc.', 'local_aux.')
    for name, value in model.state_dict().items():
        expected = before if name.startswith(kept) else taken
        assert value.equal(expected[name]), name
    assert any(not taken[k].equal(v) for k, v in before.items() if k in taken)


def test_says_what_was_taken(tmp_path):
    log = tmp_path / 'log'
    MMLogger.get_instance('t', logger_name='t', log_file=str(log))
    other = build('classification', HEAD)
    path = file_of(other, tmp_path)
    run_hook(build('classification', num_modules=2), path, ['head.fc'])
    num = len(other.state_dict()) - 2
    assert (
        f'TransferHook: {num} tensors are taken from {path}; anew start '
        "['head.fc', 'local_aux']"
    ) in log.read_text()


def test_runs_when_training_starts_but_not_when_it_is_resumed(
    tmp_path, monkeypatch
):
    seen = []
    load = transfer_hook.load_strictly
    monkeypatch.setattr(
        transfer_hook,
        'load_strictly',
        lambda *args: seen.append(1) or load(*args),
    )
    path = file_of(build('classification', seed=1), tmp_path)
    model = build('classification', num_modules=2)
    for epochs, resume in ((1, False), (2, True)):
        runner = make_runner(
            model,
            tmp_path,
            epochs=epochs,
            resume=resume,
            custom_hooks=[dict(type='mmfba.TransferHook', checkpoint=path)],
        )
        runner.train()
        assert runner.epoch == epochs
    assert seen == [1]


@pytest.mark.parametrize(
    'changes, words',
    [
        (HEAD, r'size mismatch for head\.fc\.weight: .*\[7, 32\]'),
        (dict(backbone=dict(depth=26)), r'Unexpected key.*layer1\.3\.'),
        (dict(backbone=dict(depth=14)), r'Missing key.*layer1\.2\.'),
    ],
)
def test_what_does_not_fit_is_an_error(changes, words, tmp_path):
    path = file_of(build('classification', changes), tmp_path)
    message = f'source.pth does not fit the model: .*{words}.*leave_out='
    with pytest.raises(ValueError, match=message):
        run_hook(build('classification'), path)


def test_unknown_part(tmp_path):
    model = build('classification')
    message = r"leave_out: the model has no 'head\.fcc'; .*'head\.fc'"
    with pytest.raises(ValueError, match=message):
        run_hook(model, file_of(model, tmp_path), ['head.fcc'])


def test_two_starting_points(tmp_path):
    path = file_of(build('classification', seed=1), tmp_path)
    runner = make_runner(
        build('classification', num_modules=2),
        tmp_path,
        cfg=dict(load_from=path),
        custom_hooks=[dict(type='mmfba.TransferHook', checkpoint=path)],
    )
    with pytest.raises(ValueError, match='load_from=.* its checkpoint, with'):
        runner.train()


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match='nothing.pth'):
        run_hook(build('classification'), str(tmp_path / 'nothing.pth'))


def test_wrong_settings():
    with pytest.raises(ValueError, match="leave_out='head': expected"):
        TransferHook('x.pth', 'head')
