# Copyright (c) mmfba authors.
import difflib
from typing import List, Sequence

from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import CheckpointLoader, Runner

from mmfba.models.auxiliary_names import AUXILIARY, is_auxiliary
from mmfba.registry import HOOKS

from ..checkpoint_files import load_strictly
from ..unwrap import unwrap


@HOOKS.register_module()
class TransferHook(Hook):
    """Starts training from another network's weights, some parts left out.

    For example a x3 network from a x2 one without its upsampler. What is not
    left out has to fit exactly; auxiliary networks always start anew. A
    resumed run keeps its own weights. Unlike ``load_from``, which passes over
    what does not fit, an error says what is wrong.

    Args:
        checkpoint (str): File or URL of the other network.
        leave_out (Sequence[str]): Dotted names of the modules or parameters
            that start anew. Defaults to none.

    Examples:
        >>> default_hooks = dict(transfer=dict(
        >>>     type='mmfba.TransferHook',
        >>>     checkpoint='work_dirs/edsr_x2/iter_300000.pth',
        >>>     leave_out=['generator.upsample']))
    """

    def __init__(self, checkpoint: str, leave_out: Sequence[str] = ()) -> None:
        if not isinstance(checkpoint, str) or isinstance(leave_out, str):
            raise ValueError(
                f'TransferHook: checkpoint={checkpoint!r}, leave_out='
                f'{leave_out!r}: expected a file or URL and a list of names'
            )
        self.checkpoint = checkpoint
        self.leave_out = tuple(leave_out)

    def before_train(self, runner: Runner) -> None:
        """Load the weights, unless the run is resumed.

        Raises:
            ValueError: If what is not left out does not fit, or
                ``load_from`` says where to start, too.
        """
        if runner.iter > 0:
            return
        load_from = runner.cfg.get('load_from')
        if load_from is not None:
            raise ValueError(
                f'load_from={load_from!r}: TransferHook already starts from '
                f'{self.checkpoint}. Give the file as its checkpoint, with '
                'leave_out=[] if all of it fits, and not as load_from'
            )
        model = unwrap(runner.model)
        loaded = CheckpointLoader.load_checkpoint(self.checkpoint, 'cpu')
        loaded = loaded.get('state_dict', loaded)
        own = list(model.state_dict())
        _check_names(self.leave_out, own)
        anew = [*self.leave_out]
        if any(map(is_auxiliary, own)):
            anew.append(AUXILIARY)

        def starts_anew(key: str) -> bool:
            return is_auxiliary(key) or any(_is_in(key, n) for n in anew)

        problem = load_strictly(model, loaded, starts_anew)
        if problem:
            raise ValueError(
                f'TransferHook: {self.checkpoint} does not fit the model: '
                f'{problem}. Leave out what differs: leave_out='
                f'{list(self.leave_out)}'
            )
        num = sum(not starts_anew(key) for key in loaded)
        print_log(
            f'TransferHook: {num} tensors are taken from {self.checkpoint}; '
            f'anew start {anew}',
            logger='current',
        )


def _is_in(key: str, name: str) -> bool:
    return f'{key}.'.startswith(f'{name}.')


def _check_names(names: Sequence[str], keys: List[str]) -> None:
    for name in names:
        if not any(_is_in(key, name) for key in keys):
            modules = {key.rpartition('.')[0] for key in keys}
            near = difflib.get_close_matches(name, sorted(modules), n=3)
            raise ValueError(
                f'TransferHook.leave_out: the model has no {name!r}; '
                f'near it: {near}'
            )
