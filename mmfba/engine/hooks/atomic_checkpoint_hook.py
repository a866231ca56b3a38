# Copyright (c) mmfba authors.
import os
import os.path as osp
from contextlib import contextmanager
from functools import partial
from typing import Any, Dict, Iterator, List
from unittest.mock import patch

from mmengine.dist import is_main_process
from mmengine.fileio import LocalBackend, get_file_backend, register_backend
from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner
from mmengine.runner import runner as runner_module

from mmfba.registry import HOOKS

from ..model_wrappers import LocalFullyShardedDataParallel

BACKEND = 'mmfba.AtomicLocalBackend'
UNFINISHED = 'unfinished.tmp'


class AtomicLocalBackend(LocalBackend):
    """The local file system, on which a file is whole or not there.

    What is written goes to a temporary file of the same folder first, which
    takes its name when the disk has it.
    """

    def put(self, obj: bytes, filepath: str) -> None:
        """Write bytes to a file."""
        folder = osp.dirname(osp.abspath(filepath))
        os.makedirs(folder, exist_ok=True)
        unfinished = osp.join(folder, UNFINISHED)
        with open(unfinished, 'wb') as file:
            file.write(obj)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, filepath)
        if hasattr(os, 'O_DIRECTORY'):  # the new name must survive as well
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            os.fsync(handle)
            os.close(handle)


register_backend(BACKEND, AtomicLocalBackend, force=True)


@HOOKS.register_module()
class AtomicCheckpointHook(CheckpointHook):
    """A checkpoint hook that never loses the last whole checkpoint.

    A file is written under a temporary name and renamed when it is whole;
    only then what ``max_keep_ckpts`` and ``save_best`` give up is removed.
    MMEngine's hook removes first, and writes into the file itself. All
    options are its own. ``tools/train.py`` takes this hook where the config
    has MMEngine's. Where the checkpoints go to other storage than the local
    file system (``out_dir``, ``backend_args``), writing is what that does.

    Examples:
        >>> default_hooks = dict(checkpoint=dict(
        >>>     type='mmfba.AtomicCheckpointHook', interval=1,
        >>>     max_keep_ckpts=2, save_best='auto'))
    """

    def before_train(self, runner: Runner) -> None:
        """Find the folder and how to write there."""
        chosen = self.backend_args or self.file_client_args
        out_dir = self.out_dir or runner.work_dir
        if not chosen and type(get_file_backend(out_dir)) is LocalBackend:
            self.backend_args = dict(backend=BACKEND)
        super().before_train(runner)

    def _save_checkpoint_with_step(
        self, runner: Runner, step: int, meta: Dict[str, Any]
    ) -> None:
        if self.save_optimizer and not is_main_process():
            # The main process, which alone saves, may gather the state from
            # all: ZeroRedundancyOptimizer would wait for the others for ever.
            runner.optim_wrapper.state_dict()
        with self._removing_last(), _made_by_all(runner):
            super()._save_checkpoint_with_step(runner, step, meta)

    def _save_best_checkpoint(
        self, runner: Runner, metrics: Dict[str, Any]
    ) -> None:
        if not hasattr(self, 'file_backend'):
            return  # runner.val() without training: there is none to save
        with self._removing_last(), _made_by_all(runner):
            super()._save_best_checkpoint(runner, metrics)

    @contextmanager
    def _removing_last(self) -> Iterator[None]:
        """Files that MMEngine removes inside are removed at the end."""
        outdated: List[str] = []
        with patch.object(self.file_backend, 'remove', outdated.append):
            yield
        several = getattr(self, 'best_ckpt_path_dict', {}).values()
        best = getattr(self, 'best_ckpt_path', None)
        for path in set(outdated) - {self.last_ckpt, best, *several}:
            self.file_backend.remove(path)


@contextmanager
def _made_by_all(runner: Runner) -> Iterator[None]:
    """Let all processes make what the main one saves, if they hold shards of
    it, which they gather together."""
    sharded = isinstance(runner.model, LocalFullyShardedDataParallel)
    if is_main_process() or not sharded:
        yield
        return
    make = partial(Runner.save_checkpoint.__wrapped__, runner)
    with (
        patch.object(runner, 'save_checkpoint', make),
        patch.object(runner_module, 'save_checkpoint', lambda *_, **__: None),
    ):
        yield
