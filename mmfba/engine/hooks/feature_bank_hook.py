# Copyright (c) mmfba authors.
import math
import re
from io import StringIO
from typing import Any, Dict, List, Optional

from mmengine.hooks import Hook
from mmengine.logging import MessageHub
from mmengine.runner import LogProcessor, Runner
from rich.console import Console
from rich.table import Table

from mmfba.models.auxiliary.auxiliary_network import check_num_images
from mmfba.models.describe import NOTHING_READ, describe, method_name
from mmfba.models.optim_wrapper import check_optim_wrapper
from mmfba.registry import HOOKS

from ..model_wrappers import LocalFullyShardedDataParallel
from ..num_classes import check_num_classes
from ..processes import check_runner
from ..smallest_batch import smallest_batch
from ..unwrap import find_local_model, get_local_model
from .local_loss_logs import average_local_losses
from .plain_checkpoint_hook import PlainCheckpointHook

PATIENCE = 20
"""Wrong iterations in a row until training under a gradient scaler stops;
halved so often, its scale of 65536 has come to nothing."""


@HOOKS.register_module()
class FeatureBankHook(Hook):
    """Watches over local learning and its feature bank in a training run.

    Before training it checks that model, optimizer wrapper and runner
    settings fit together, and logs what each local module trains and reads; it
    warns where an SLM could read the bank and none does.
    During training it logs the largest size of the bank as ``bank_mib``, lets
    the log average local losses as it does the main loss, and ends at a loss
    that is NaN or infinite, see :class:`LocalBackward`. It adds
    :class:`PlainCheckpointHook`.

    Examples:
        >>> default_hooks = dict(
        >>>     feature_bank=dict(type='mmfba.FeatureBankHook'))
    """

    priority = 'NORMAL'  # after RuntimeInfoHook, before the checkpoint

    def __init__(self) -> None:
        self._wrong_in_a_row = 0

    def before_run(self, runner: Runner) -> None:
        """Add the checkpoint hook and refuse settings that cannot work."""
        check_runner(runner)
        if isinstance(runner.model, LocalFullyShardedDataParallel):
            # The wrapper has done it, and shards cannot be made equal.
            runner._init_model_weights = lambda: None
        if not any(isinstance(h, PlainCheckpointHook) for h in runner.hooks):
            runner.register_hook(PlainCheckpointHook())
        if runner.cfg.get('activation_checkpointing'):
            raise ValueError(
                'activation_checkpointing='
                f'{runner.cfg["activation_checkpointing"]}: it checkpoints '
                'reentrantly, so that a module whose input needs no gradient '
                '(every local module) is not trained at all: remove the key'
            )

    def before_save_checkpoint(
        self, runner: Runner, checkpoint: Dict[str, Any]
    ) -> None:
        """Write the cuts beside the weights."""
        model = find_local_model(runner.model)
        if model is not None:
            checkpoint['local_learning'] = dict(cuts=model.cuts)

    def after_load_checkpoint(
        self, runner: Runner, checkpoint: Dict[str, Any]
    ) -> None:
        """Refuse to resume training with other cuts."""
        cuts = checkpoint.get('local_learning', {}).get('cuts')
        model = find_local_model(runner.model)
        if cuts is None or model is None or not runner._resume:
            return
        if cuts != model.cuts:
            raise ValueError(
                f'The checkpoint was trained with the cuts {cuts}, the '
                f'config makes {model.cuts}: to resume, set '
                f'model.local_learning.partition={cuts}; to start anew from '
                'its weights, use load_from without resume'
            )

    def before_train(self, runner: Runner) -> None:
        """Check the set-up and log what each local module reads.

        Raises:
            TypeError: If model or optimizer wrapper do no local learning.
            ValueError: If data and model do not fit.
        """
        model = get_local_model(
            runner.model, 'default_hooks.feature_bank', 'remove the hook'
        )
        check_optim_wrapper(model, runner.optim_wrapper)
        check_num_classes(model, runner.train_dataloader.dataset)
        check_num_images(
            model.local_aux, smallest_batch(runner.train_dataloader)
        )
        with runner.optim_wrapper.optim_context(runner.model):
            pass  # it refuses what it cannot do
        if runner.cfg.get('compile'):
            runner.logger.warning(
                f'compile={runner.cfg["compile"]}: local modules and main '
                'head run uncompiled, since their backwards run inside the '
                'forward; only what surrounds them is compiled'
            )
        model.head_changes.hooks = _hooks_in_training(runner.hooks)
        name = method_name(model)
        runner.logger.info(
            f'Local learning, K={model.learner.num_modules}, backward '
            f'{model.learner.backward}, bank {model.learner.timing}; '
            f'{name}:\n{_format(describe(model))}{model.remark}'
        )
        if name in NOTHING_READ:
            runner.logger.warning(
                f'No auxiliary network reads the feature bank ({name}, not '
                "FBA): set local_learning.partition='stage', taps to earlier "
                "units, or auxiliary.neck.fusion='add'"
            )

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Optional[Dict[str, Any]] = None,
    ) -> None:
        """Log the size of the bank, and look for losses that are no numbers.

        Raises:
            FloatingPointError: It names the local module and the iteration.
        """
        learner = find_local_model(runner.model).learner
        runner.message_hub.update_scalar(
            'train/bank_mib', learner.peak_bank_bytes / 2**20
        )
        if isinstance(runner.log_processor, LogProcessor):
            average_local_losses(runner.log_processor, outputs or {})
        wrong = _nonfinite(runner.message_hub, outputs or {})
        self._wrong_in_a_row = self._wrong_in_a_row + 1 if wrong else 0
        if wrong:
            self._report(runner, wrong, learner.num_modules)

    def after_val_epoch(self, runner: Runner, metrics: Any = None) -> None:
        """Free the weights that validation has gathered, before other hooks
        (``EMAHook``) change the shards."""
        if isinstance(runner.model, LocalFullyShardedDataParallel):
            runner.model.reduction.clear()

    after_test_epoch = after_val_epoch

    def _report(self, runner: Runner, wrong: str, num_modules: int) -> None:
        wrapper = runner.optim_wrapper
        choice = getattr(wrapper, 'nonfinite', 'stop')
        if choice == 'ignore':
            return
        found = re.match(r'aux(\d+)/', wrong)
        index = int(found[1]) if found else num_modules - 1
        what = (
            f'Iteration {runner.iter + 1}: the loss of local module {index} '
            f'of {num_modules} ({wrong}) is no finite number'
        )
        scaled = getattr(wrapper, 'scales_gradients', False)
        if choice == 'skip' or (scaled and self._wrong_in_a_row < PATIENCE):
            runner.logger.warning(f'{what}: its step is left out.')
            return
        raise FloatingPointError(
            f'{what}. Resume from an earlier checkpoint with a lower '
            'optim_wrapper.optimizer.lr or with optim_wrapper.clip_grad, or '
            "leave out such steps by optim_wrapper.nonfinite='skip'"
        )


def _nonfinite(hub: MessageHub, outputs: Dict[str, Any]) -> str:
    """Name of the first loss that is not finite, as RuntimeInfoHook has
    logged it: reading the tensors would wait for the GPU once more."""
    for name in sorted(outputs, key=lambda n: not n.startswith('aux')):
        history = hub.log_scalars.get(f'train/{name}')
        if history is None or not ('loss' in name or name.startswith('aux')):
            continue
        if not math.isfinite(history.current()):
            return name
    return ''


def _hooks_in_training(hooks: List[Hook]) -> List[str]:
    """Names of the hooks, but MMEngine's and ours, that run then."""
    return [
        type(hook).__name__
        for hook in hooks
        if type(hook).__module__.split('.')[0] not in ('mmengine', 'mmfba')
        and any('_train' in stage for stage in hook.get_triggered_stages())
    ]


def _format(rows: List[Dict[str, Any]]) -> str:
    table = Table()
    names = ('module', 'units', 'parameters', 'auxiliary', 'SLM', 'head')
    for name in (*names, 'reads'):
        table.add_column(name)
    for row in rows:
        table.add_row(
            str(row['module']),
            row['units'],
            f'{row["parameters"]:,}',
            f'{row["aux_parameters"]:,}',
            row['slm'],
            row['head'],
            ', '.join(row['reads']) or '-',
        )
    console = Console(file=StringIO(), width=120)
    console.print(table)
    return console.file.getvalue()
