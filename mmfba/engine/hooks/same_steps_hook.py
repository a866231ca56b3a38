# Copyright (c) mmfba authors.
from mmengine.dist import all_gather_object, get_world_size
from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop, Runner

from mmfba.registry import HOOKS


@HOOKS.register_module()
class SameStepsHook(Hook):
    """Refuses processes that cannot take the same training steps.

    Each step waits for all processes: one that begins elsewhere, or whose
    data end early, would let the others wait, or meet them in another step.
    ``tools/train.py`` adds this hook.
    """

    priority = 'VERY_LOW'
    _seen = 0

    def before_train(self, runner: Runner) -> None:
        """Raise a ValueError where this process is not as the first one."""
        loop = runner.train_loop
        by_epoch = isinstance(loop, EpochBasedTrainLoop)
        batches = len(loop.dataloader) if by_epoch else None
        first, *_ = all_gather_object((runner.iter, batches))
        if runner.iter != first[0]:
            raise ValueError(
                f'training goes on from iteration {runner.iter}, and that of '
                f'rank 0 from {first[0]}: does each machine see the '
                f'checkpoints of rank 0 in work_dir={runner.work_dir!r}?'
            )
        if batches != first[1]:
            raise ValueError(
                f'train_dataloader: an epoch has {batches} batches, and that '
                f'of rank 0 {first[1]}: all must have as many, as with '
                "sampler=dict(type='DefaultSampler', round_up=True)"
            )

    def before_train_epoch(self, runner: Runner) -> None:
        """Begin to count."""
        self._seen = 0

    def after_train_iter(self, *args, **kwargs) -> None:
        """Count."""
        self._seen += 1

    def after_train_epoch(self, runner: Runner) -> None:
        """End this process with a message where its data ended early."""
        loop = runner.train_loop
        by_epoch = isinstance(loop, EpochBasedTrainLoop)
        if not by_epoch or get_world_size() == 1:
            return
        if self._seen < len(loop.dataloader):
            raise SystemExit(
                f'error: train_dataloader: the data ended after {self._seen} '
                f'of {len(loop.dataloader)} batches, in epoch '
                f'{runner.epoch + 1}'
            )
