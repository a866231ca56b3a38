# Copyright (c) mmfba authors.
import os
import shutil

import pytest
import torch
from fault_configs import classifier_config
from local_models import build
from mmengine.config import Config
from mmengine.logging import HistoryBuffer
from mmengine.runner import Runner
from run_tool import load_tool
from tiny_runner import make_runner

from mmfba.engine.checkpoint_files import (
    checkpoint_loading,
    is_whole,
    last_whole_checkpoint,
)
from mmfba.engine.hooks import AtomicCheckpointHook
from mmfba.engine.hooks.atomic_checkpoint_hook import UNFINISHED


def _runner(folder, epochs, **options):
    runner = make_runner(
        build('classification', num_modules=2), folder, epochs=epochs
    )
    runner._hooks = [
        h for h in runner.hooks if type(h).__name__ != 'CheckpointHook'
    ]
    hook = AtomicCheckpointHook(interval=1, **options)
    runner.register_hook(hook)
    return runner, hook


def _files(folder):
    return sorted(p.name for p in folder.glob('*.pth'))


@pytest.mark.parametrize('keep', [-1, 1, 2])
def test_keeps_what_mmengine_keeps(tmp_path, keep):
    _runner(tmp_path, 3, max_keep_ckpts=keep)[0].train()
    first = 1 if keep < 0 else 4 - keep
    names = [f'epoch_{i}.pth' for i in range(first, 4)]
    assert _files(tmp_path) == names
    assert all(is_whole(tmp_path / name) for name in names)
    assert not (tmp_path / UNFINISHED).exists()
    last = (tmp_path / 'last_checkpoint').read_text()
    assert last == str(tmp_path / 'epoch_3.pth')
    info = torch.load(last, weights_only=True)['message_hub']['runtime_info']
    assert info['last_ckpt'] == last
    if keep > 0:
        assert info['keep_ckpt_ids'] == list(range(first, 4))


class Killed(BaseException):
    """The process ends here."""


@pytest.fixture
def kill_after(monkeypatch):
    """Ends the process after so many steps on the disk."""

    def arm(count):
        left = iter(range(count))

        def limited(function):
            def run(*args, **kwargs):
                if next(left, None) is None:
                    raise Killed
                return function(*args, **kwargs)

            return run

        for name in ('fsync', 'replace', 'remove'):
            monkeypatch.setattr(os, name, limited(getattr(os, name)))

    return arm


@pytest.mark.parametrize('count', range(18))
def test_killed_between_any_two_steps(tmp_path, kill_after, count):
    """At each there is a whole checkpoint, and it is found."""
    runner, hook = _runner(tmp_path, 1, max_keep_ckpts=1, save_best='acc')
    runner.train()
    hook.after_val_epoch(runner, dict(acc=0.5))  # best_acc_epoch_1.pth
    runner.train_loop._epoch = 2
    kill_after(count)
    with pytest.raises(Killed):
        hook._save_checkpoint(runner)
        hook.after_val_epoch(runner, dict(acc=0.7))
        raise Killed
    best = [name for name in _files(tmp_path) if name.startswith('best')]
    assert best and all(is_whole(tmp_path / name) for name in best)
    path, note = last_whole_checkpoint(str(tmp_path))
    assert 'missing' not in note
    loaded = torch.load(path, weights_only=True)
    assert 'optimizer' in loaded and is_whole(path)


@pytest.mark.parametrize('several', [False, True])
def test_best_checkpoints(tmp_path, several):
    keys = ['acc', 'mAP'] if several else 'acc'
    runner, hook = _runner(tmp_path, 1, save_best=keys)
    runner.train()
    for epoch, acc in enumerate((0.5, 0.4, 0.7), start=1):
        runner.train_loop._epoch = epoch
        hook.after_val_epoch(runner, dict(acc=acc, mAP=-acc))
    best = [name for name in _files(tmp_path) if name.startswith('best')]
    assert (
        best == ['best_acc_epoch_3.pth'] + ['best_mAP_epoch_2.pth'] * several
    )
    assert 'remove' not in vars(hook.file_backend)


@pytest.mark.parametrize('save_best', [None, 'auto'])
def test_validation_without_training(tmp_path, save_best):
    """As with a config that tools/train.py has dumped."""
    cfg = classifier_config(tmp_path)
    cfg.default_hooks = dict(
        checkpoint=dict(type='mmfba.AtomicCheckpointHook', save_best=save_best)
    )
    metrics = Runner.from_cfg(cfg).val()
    assert 0 <= metrics['accuracy/top1'] <= 100
    assert not list(tmp_path.rglob('*.pth'))


def test_other_storage_is_left_alone(tmp_path):
    runner, hook = _runner(tmp_path, 1, backend_args=dict(backend='local'))
    runner.train()
    assert hook.backend_args == dict(backend='local')
    assert _files(tmp_path) == ['epoch_1.pth']


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp('trained')
    _runner(folder, 2)[0].train()
    return folder


@pytest.fixture
def work_dir(trained, tmp_path):
    """Two checkpoints, and a best one, which is newer."""
    for name in ('epoch_1.pth', 'epoch_2.pth', 'best.pth'):
        source = trained / name.replace('best', 'epoch_2')
        shutil.copy(source, tmp_path / name)
    best = torch.load(tmp_path / 'best.pth', weights_only=True)
    best.pop('optimizer')
    torch.save(best, tmp_path / 'best.pth')
    for i, name in enumerate(('epoch_1.pth', 'epoch_2.pth', 'best.pth')):
        os.utime(tmp_path / name, (i, i))
    last = tmp_path / 'epoch_2.pth'
    (tmp_path / 'last_checkpoint').write_text(str(last))
    return tmp_path


def _cut(path):
    path.write_bytes(path.read_bytes()[:-100])


def _damage(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(data)


def test_the_last_whole_one(work_dir):
    path, note = last_whole_checkpoint(str(work_dir))
    assert path == str(work_dir / 'epoch_2.pth') and path in note


@pytest.mark.parametrize('spoil', [_cut, _damage, os.remove])
def test_falls_back_to_the_newest_whole_one(work_dir, spoil):
    spoil(work_dir / 'epoch_2.pth')
    path, note = last_whole_checkpoint(str(work_dir))
    assert path == str(work_dir / 'epoch_1.pth')
    assert path in note and str(work_dir / 'epoch_2.pth') in note


def test_falls_back_to_objects_only_if_they_are_trusted(work_dir):
    """As older versions of MMEngine write them."""
    loaded = torch.load(work_dir / 'epoch_1.pth', weights_only=True)
    loaded['message_hub']['log_scalars'] = dict(lr=HistoryBuffer())
    torch.save(loaded, work_dir / 'epoch_1.pth')
    _cut(work_dir / 'epoch_2.pth')
    path, note = last_whole_checkpoint(str(work_dir), trust=True)
    assert path == str(work_dir / 'epoch_1.pth') and path in note
    words = f'{path} holds objects.*HistoryBuffer.*--trust-checkpoint'
    with pytest.raises(SystemExit, match=words), checkpoint_loading():
        last_whole_checkpoint(str(work_dir))
    cfg = Config(dict(resume=True, work_dir=str(work_dir)))
    load_tool('train').choose_checkpoint(cfg, trust=True)
    assert cfg.load_from == path


@pytest.mark.parametrize('text', ['', None])
def test_without_a_record(work_dir, text):
    (work_dir / 'last_checkpoint').unlink()
    if text is not None:
        (work_dir / 'last_checkpoint').write_text(text)
    path, note = last_whole_checkpoint(str(work_dir))
    assert path == str(work_dir / 'epoch_2.pth')
    assert 'last_checkpoint names no checkpoint' in note


def test_nothing_whole(work_dir):
    for name in ('epoch_1.pth', 'epoch_2.pth'):
        _cut(work_dir / name)
    with pytest.raises(ValueError, match=r'epoch_2\.pth is missing or not'):
        last_whole_checkpoint(str(work_dir))


def test_nothing_at_all(tmp_path):
    path, note = last_whole_checkpoint(str(tmp_path))
    assert path is None and 'training starts' in note
    torch.save(dict(state_dict={}), tmp_path / 'pretrained.pth')
    assert last_whole_checkpoint(str(tmp_path))[0] is None


def test_checkpoints_elsewhere_are_not_looked_at(tmp_path):
    (tmp_path / 'last_checkpoint').write_text('s3://bucket/epoch_3.pth')
    path, _ = last_whole_checkpoint(str(tmp_path))
    assert path == 's3://bucket/epoch_3.pth'
