# Copyright (c) mmfba authors.
import re
from typing import Any, Dict

from mmengine.hooks import Hook
from mmengine.model import BaseTTAModel, is_model_wrapper
from mmengine.runner import Runner

from mmfba.models.auxiliary_names import is_auxiliary
from mmfba.registry import HOOKS

from ..checkpoint_files import load_strictly


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
        own = model.state_dict()
        if self.test:
            state = {k: v for k, v in state.items() if k in own}
        if self.test or runner._resume:
            problem = load_strictly(
                model, state, lambda name: self.test and is_auxiliary(name)
            )
        elif any(
            getattr(v, 'shape', 0) == own[k].shape
            for k, v in state.items()
            if k in own
        ):
            return  # load_from takes what there is
        else:
            problem = 'no weight has name and shape of its'
        if problem:
            file = runner._load_from or 'the checkpoint'
            raise ValueError(
                f'{file} is not of the model in the config: {problem}: take '
                'another checkpoint, or the config that it was trained with'
            )
