# Copyright (c) mmfba authors.
from typing import List

from torch import nn

from mmfba.registry import TASK_UTILS

from .options import LocalLearningOptions


@TASK_UTILS.register_module()
class JointTailPartition:
    """Every unit a module of its own, but the last d + 1 one together.

    `AugLocal <https://arxiv.org/abs/2402.17318>`_ counts so on CIFAR: with
    auxiliary networks of d blocks, a network of 16 units has K = 16 - d.
    d is ``auxiliary.depth``, see :class:`AugLocalAuxiliary`.

    Examples:
        >>> local_learning = dict(
        >>>     partition=dict(type='mmfba.JointTailPartition'),
        >>>     auxiliary=dict(type='mmfba.AugLocalAuxiliary', depth=2))
    """

    def __call__(
        self, model: nn.Module, options: LocalLearningOptions
    ) -> List[str]:
        """Names of the units of a model to cut after."""
        anatomy = model.anatomy
        trained = anatomy.units[anatomy.first_trained() :]
        units = [
            unit.name
            for unit in trained
            if unit.cuttable or unit is trained[-1]
        ]
        depth = options.auxiliary.get('depth')
        if depth not in range(1, len(units) - 1):
            raise ValueError(
                f'auxiliary.depth={depth!r}: mmfba.JointTailPartition expects '
                f'an integer from 1 to {len(units) - 2}, for a backbone of '
                f'{len(units)} trained units'
            )
        num_modules = len(units) - depth
        if options.num_modules not in (None, num_modules):
            raise ValueError(
                f'num_modules={options.num_modules}, but {len(units)} units '
                f'with auxiliary.depth={depth} make {num_modules}: '
                'leave num_modules out'
            )
        return units[: num_modules - 1]
