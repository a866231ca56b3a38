# Copyright (c) mmfba authors.
from typing import List

from .local_model import LocalModel

MESSAGES = ('out of memory', "can't allocate memory")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, on a GPU or on the CPU."""
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(m in text for m in MESSAGES)


def explain_out_of_memory(
    error: RuntimeError, model: LocalModel
) -> RuntimeError:
    """An error of the same type that says which local module was running, and
    what would need less there."""
    learner = model.learner
    index, num_modules = learner.running, learner.num_modules
    units = model.anatomy.units[slice(*model.ranges[index])]
    return type(error)(
        f'{error}\nMemory ran out in local module {index} of {num_modules}, '
        f'{units[0].name} .. {units[-1].name}. Less memory there by: '
        f'{"; ".join(_remedies(model, index))}; fewer or smaller images. '
        'What fits is said by: python tools/localise.py CONFIG --budget 8GiB'
    )


def _remedies(model: LocalModel, index: int) -> List[str]:
    learner, key = model.learner, 'model.local_learning.'
    remedies = []
    if learner.backward == 'summed':
        remedies.append(f"{key}backward='immediate'")
    if learner.chunk is None:
        remedies.append(f'{key}chunk=1 (detection, super-resolution)')
    if index not in model.checkpointed:
        indices = sorted([*model.checkpointed, index])
        remedies.append(f'{key}checkpoint={indices}')
    start, stop = model.ranges[index]
    if stop - start > 1:
        remedies.append(
            f'a cut inside it ({key}partition), or '
            f"{key}partition.type='mmfba.BalancedPartition'"
        )
    return remedies
