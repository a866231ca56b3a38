# Copyright (c) mmfba authors.
import os
import os.path as osp
from typing import Any, Dict, List

from mmengine.dist import is_main_process
from mmengine.fileio import LocalBackend, get_file_backend, register_backend
from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner

from mmfba.registry import HOOKS

BACKEND = 'mmfba.AtomicLocalBackend'
UNFINISHED = 'unfinished.tmp'


class AtomicLocalBackend(LocalBackend):
    """The local file system, on which a file is whole or not there.

    What is written goes to a temporary file of the same folder first, which
    takes its name when the disk has it. After a kill in the middle the file
    that had the name before is untouched; the temporary one is overwritten by
    the next that is written in the folder.
    """

    def put(self, obj: bytes, filepath: str) -> None:
        """Write bytes.

        Args:
            obj (bytes): The content.
            filepath (str): The file.
        """
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
    ``last_checkpoint`` names it only then, and only then what
    ``max_keep_ckpts`` and ``save_best`` give up is removed. MMEngine's hook
    removes first, and writes into the file itself. All options are its own.
    ``tools/train.py`` takes this hook where the config has MMEngine's.

    Note:
        Where the checkpoints go to other storage than the local file system
        (``out_dir``, ``backend_args``), writing is what that storage does.

    Examples:
        >>> default_hooks = dict(checkpoint=dict(
        >>>     type='mmfba.AtomicCheckpointHook', interval=1,
        >>>     max_keep_ckpts=2, save_best='auto'))
    """

    def before_train(self, runner: Runner) -> None:
        """Find the folder and how to write there.

        Args:
            runner (Runner): The runner.
        """
        chosen = self.backend_args or self.file_client_args
        out_dir = self.out_dir or runner.work_dir
        if not chosen and type(get_file_backend(out_dir)) is LocalBackend:
            self.backend_args = dict(backend=BACKEND)
        super().before_train(runner)

    def _save_checkpoint_with_step(
        self, runner: Runner, step: int, meta: Dict[str, Any]
    ) -> None:
        # As MMEngine's, in another order.
        outdated = None
        known = self.max_keep_ckpts <= 0 or step in self.keep_ckpt_ids
        if not known:
            if len(self.keep_ckpt_ids) == self.max_keep_ckpts:
                outdated = self._path(self.keep_ckpt_ids.popleft())
            self.keep_ckpt_ids.append(step)
            kept = list(self.keep_ckpt_ids)
            runner.message_hub.update_info('keep_ckpt_ids', kept)
        self.last_ckpt = self._path(step)
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        if self.save_optimizer and not is_main_process():
            # The main process, which alone saves, may gather the state from
            # all: ZeroRedundancyOptimizer would wait for the others for ever.
            runner.optim_wrapper.state_dict()
        runner.save_checkpoint(
            self.out_dir,
            self.filename_tmpl.format(step),
            self.file_client_args,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta=meta,
            by_epoch=self.by_epoch,
            backend_args=self.backend_args,
            **self.args,
        )
        if is_main_process():
            name = osp.join(runner.work_dir, 'last_checkpoint')
            AtomicLocalBackend().put(self.last_ckpt.encode(), name)
            if outdated:
                self._remove(outdated)

    def _save_best_checkpoint(
        self, runner: Runner, metrics: Dict[str, Any]
    ) -> None:
        if not hasattr(self, 'file_backend'):
            return  # runner.val() without training: there is none to save
        # MMEngine's removes the previous one first.
        outdated: List[str] = []
        self.file_backend.remove = outdated.append
        try:
            super()._save_best_checkpoint(runner, metrics)
        finally:
            del self.file_backend.remove
        if self.save_best:
            several = getattr(self, 'best_ckpt_path_dict', {}).values()
            best = {getattr(self, 'best_ckpt_path', None), *several}
            for path in set(outdated) - best:
                self._remove(path)

    def _path(self, step: int) -> str:
        name = self.filename_tmpl.format(step)
        return self.file_backend.join_path(self.out_dir, name)

    def _remove(self, path: str) -> None:
        # In MMEngine's order: not every storage knows what a folder is.
        if self.file_backend.isfile(path):
            self.file_backend.remove(path)
        elif self.file_backend.isdir(path):  # as DeepSpeed writes them
            self.file_backend.rmtree(path)
