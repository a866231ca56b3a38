# Copyright (c) mmfba authors.
import re
from typing import Any, Dict

from mmengine.hooks import Hook
from mmengine.model import BaseTTAModel, is_model_wrapper
from mmengine.runner import Runner
from torch import nn

from mmfba.models.auxiliary_names import is_auxiliary
from mmfba.registry import HOOKS

from ..checkpoint_files import shorten


@HOOKS.register_module()
class CheckpointFitHook(Hook):
    """Refuses a checkpoint that is of another network.

    MMEngine passes over what does not fit, so that a test of the wrong
    checkpoint gives the figures of random weights. Here resuming needs every
    weight, a test every weight of the plain network, and ``load_from`` at
    least one. ``tools/train.py`` and ``tools/test.py`` add this hook.

    Args:
        test (bool): Whether the checkpoint is tested, not trained from.
            Defaults to False.
    """

    priority = 'LOWEST'  # after EMAHook, which exchanges the weights

    def __init__(self, test: bool = False) -> None:
        self.test = test

    def after_load_checkpoint(
        self, runner: Runner, checkpoint: Dict[str, Any]
    ) -> None:
        """Raise a ValueError that names what is missing or does not fit."""
        state = checkpoint.get('state_dict', checkpoint)
        state = {re.sub(r'^module\.', '', k): v for k, v in state.items()}
        model = runner.model
        while is_model_wrapper(model) or isinstance(model, BaseTTAModel):
            model = model.module
        if self.test:
            state = {k: v for k, v in state.items() if not is_auxiliary(k)}
        own = {k: v.shape for k, v in model.state_dict().items()}
        fits = any(
            getattr(v, 'shape', 0) == own.get(k) for k, v in state.items()
        )
        if fits and not self.test and not runner._resume:
            return  # load_from takes what there is
        problem = _compare(model, state, self.test)
        if problem or not fits:
            file = runner._load_from or 'the checkpoint'
            raise ValueError(
                f'{file} is not of the model in the config: '
                f'{problem or "no weight has name and shape of its"}: take '
                'another checkpoint, or the config that it was trained with'
            )


def _compare(model: nn.Module, state: Dict[str, Any], test: bool) -> str:
    """Load, as MMEngine is about to, and say what does not fit."""
    try:
        loaded = model.load_state_dict(state, strict=False)
    except RuntimeError as error:
        return shorten(error)
    missing = [
        key for key in loaded.missing_keys if not (test and is_auxiliary(key))
    ]
    unknown = [] if test else loaded.unexpected_keys
    parts = [('lacks', missing), ('has unknown', unknown)]
    return '; '.join(
        f'it {what} weights, {len(keys)}, as {keys[:3]}'
        for what, keys in parts
        if keys
    )
