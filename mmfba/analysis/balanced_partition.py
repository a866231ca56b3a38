# Copyright (c) mmfba authors.
from typing import Sequence

from torch import nn

from mmfba.local import partition_balanced
from mmfba.models import LocalLearningOptions
from mmfba.registry import TASK_UTILS

from .unit_costs import measure_units


@TASK_UTILS.register_module()
class BalancedPartition:
    """Cuts that make the peak memory of training least.

    Every unit, with the auxiliary network of a cut after it, is measured on
    the meta device when the model is built; of all partitions into K modules
    the one with the least predicted peak is taken.

    Args:
        input_shape (Sequence[int]): Height and width of the network's input
            in training.
        batch_size (int): Images in a batch of one process.

    Examples:
        >>> local_learning = dict(
        >>>     num_modules=4,
        >>>     partition=dict(
        >>>         type='mmfba.BalancedPartition',
        >>>         input_shape=(800, 1344),
        >>>         batch_size=2))
    """

    def __init__(self, input_shape: Sequence[int], batch_size: int) -> None:
        shape = input_shape if isinstance(input_shape, (list, tuple)) else ()
        numbers = [*shape, batch_size]
        if len(shape) != 2 or not all(
            isinstance(number, int) and number > 0 for number in numbers
        ):
            raise ValueError(
                f'partition.input_shape={input_shape!r}, '
                f'batch_size={batch_size!r}: expected (height, width) and a '
                'number of images'
            )
        self.input_shape = tuple(input_shape)
        self.batch_size = batch_size

    def __call__(
        self, model: nn.Module, options: LocalLearningOptions
    ) -> list[str]:
        """Choose the cuts.

        Args:
            model (nn.Module): The model that is cut.
            options (LocalLearningOptions): Its options.

        Returns:
            list[str]: Names of the units to cut after.
        """
        num_modules = options.wanted_modules
        recomputed = options.checkpointed(num_modules)
        checkpoint = [index in recomputed for index in range(num_modules)]
        costs = {
            choice: measure_units(
                model, options, self.batch_size, self.input_shape, choice
            )
            for choice in set(checkpoint)
        }

        def peak(index: int, start: int, stop: int) -> int:
            return costs[checkpoint[index]].peak(start, stop)

        anatomy = model.anatomy
        ranges = partition_balanced(
            anatomy.units, num_modules, peak, anatomy.first_trained()
        )
        return [anatomy.units[stop - 1].name for _, stop in ranges[:-1]]
