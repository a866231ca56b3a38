# Copyright (c) mmfba authors.
import copy
import difflib
import math
from dataclasses import dataclass, field, fields, replace
from typing import Any, Dict, List, Mapping, Optional, Sequence, Union

from torch import nn

from mmfba.local import (
    partition_by_cuts,
    partition_by_memory,
    partition_by_stage,
    partition_uniform,
)
from mmfba.local.learner import BACKWARDS, TIMINGS
from mmfba.local.partition import Ranges
from mmfba.local.units import Anatomy
from mmfba.registry import TASK_UTILS
from mmfba.type_name import type_name

from .choices import check_choice

PARTITIONS = dict(
    memory=partition_by_memory,
    stage=partition_by_stage,
    uniform=partition_uniform,
)
LISTS = (list, tuple, type(None))
TYPES = dict(
    num_modules=((int, type(None)), 'K, an integer'),
    partition=(
        (str, Mapping, list, tuple),
        "'memory', 'stage', 'uniform', a list or a dict",
    ),
    taps=(LISTS, 'a list of features'),
    loss_weight=((int, float), 'a number'),
    auxiliary=(Mapping, 'a dict'),
    **dict.fromkeys(('lean_stem', 'fast_head'), (bool, 'a bool')),
)


@dataclass
class LocalLearningOptions:
    """The config key ``model.local_learning``.

    Args:
        num_modules (int, optional): K, the number of local modules, the last
            one included. Defaults to 4, or to what explicit cuts give.
        partition (str | list[str] | dict): ``'memory'``, modules that keep
            about as much for their backward; ``'stage'``; ``'uniform'``,
            modules of as many units; the names of the units to cut after; or
            a partitioner, see :class:`mmfba.analysis.BalancedPartition`.
            Defaults to ``'memory'``.
        lean_stem (bool): Whether the stem computes image by image and keeps
            nothing but its input, see :func:`mmfba.local.lean_stem`. Defaults
            to False.
        fast_head (bool): Whether the main head of a detector, too, runs on
            all levels at once, as auxiliary heads do, see
            :func:`mmfba.models.anchor_loss.anchor_loss`: fewer operators, the
            same loss up to the order of sums. Defaults to False.
        backward (str): When the local backwards run: ``'immediate'``, each
            before the next module starts, or ``'summed'``, with the last one,
            which saves no memory and is there for checks. Defaults to
            ``'immediate'``.
        timing (str): When the bank is filled: ``'causal'``, as the modules
            run, or ``'two_pass'``, by a forward without gradients before.
            Defaults to ``'causal'``.
        taps (list[str], optional): What goes into the bank: unit names, the
            same with ``.pooled``, or ``'input'``. Defaults to what suits the
            task.
        chunk (int, optional): Images that neck and head, those of the
            auxiliary networks included, see at a time, each chunk with its
            own backward: same gradients. Defaults to None, the whole batch.
        checkpoint (bool | list[int]): Local modules, by index, that compute
            their units again in the backward instead of keeping their
            activations; True for all. Defaults to False.
        loss_weight (float): Weight of the local losses. With SGD it is a
            learning rate of the local modules. Defaults to 1.0.
        auxiliary (dict): Auxiliary networks, merged over the task's defaults.
    """

    num_modules: Optional[int] = None
    partition: Union[str, Sequence[str], Mapping[str, Any]] = 'memory'
    lean_stem: bool = False
    fast_head: bool = False
    backward: str = 'immediate'
    timing: str = 'causal'
    taps: Optional[List[str]] = None
    chunk: Optional[int] = None
    checkpoint: Union[bool, Sequence[int]] = False
    loss_weight: float = 1.0
    auxiliary: Dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_config(
        cls, cfg: Mapping[str, Any], auxiliary: Dict[str, Any]
    ) -> 'LocalLearningOptions':
        """Check ``model.local_learning``, and complete it by the task's
        default auxiliary network."""
        if not isinstance(cfg, Mapping):
            raise ValueError(f'model.local_learning={cfg!r}: expected a dict')
        keys = [f.name for f in fields(cls)]
        for key in cfg:
            if key not in keys:
                near = difflib.get_close_matches(key, keys, n=1)
                hint = (
                    f'did you mean {near[0]!r}?' if near else f'keys: {keys}'
                )
                raise ValueError(f'local_learning has no key {key!r}; {hint}')
        options = cls(**copy.deepcopy(dict(cfg)))
        options._check()
        options.auxiliary = merge_typed(auxiliary, options.auxiliary)
        return options

    def _check(self) -> None:
        for key, (types, expected) in TYPES.items():
            value = getattr(self, key)
            if not isinstance(value, types):
                raise ValueError(
                    f'local_learning.{key}={value!r}: expected {expected}'
                )
        choices = dict(backward=BACKWARDS, timing=TIMINGS)
        if isinstance(self.partition, str):
            choices.update(partition=PARTITIONS)
        for key, allowed in choices.items():
            check_choice(f'local_learning.{key}', getattr(self, key), allowed)
        if not 0 < self.loss_weight < math.inf:
            raise ValueError(
                f'local_learning.loss_weight={self.loss_weight}: a module '
                'whose loss has no weight is not trained; expected a number '
                'above 0'
            )
        chunk = self.chunk
        if chunk is not None and not (type(chunk) is int and chunk >= 1):
            raise ValueError(
                f'local_learning.chunk={chunk!r}: expected images at a time, '
                'an integer of at least 1, or None for the whole batch'
            )

    @property
    def wanted_modules(self) -> int:
        """int: K where the cuts are not given one by one."""
        return 4 if self.num_modules is None else self.num_modules

    def with_cuts(self, cuts: Sequence[str]) -> 'LocalLearningOptions':
        """The same with these cuts, of as many modules as they make."""
        return replace(self, partition=list(cuts), num_modules=None)

    def with_partition_of(self, model: nn.Module) -> 'LocalLearningOptions':
        """The same with the cuts of a partitioner, if there is one, for a
        local model whose units are known."""
        if not isinstance(self.partition, Mapping):
            return self
        return self.with_cuts(TASK_UTILS.build(self.partition)(model, self))

    def ranges(self, anatomy: Anatomy) -> Ranges:
        """Local modules of a network as ranges of unit indices."""
        units, first = anatomy.units, anatomy.first_trained()
        if not isinstance(self.partition, str):
            ranges = partition_by_cuts(units, self.partition, first)
            if self.num_modules not in (None, len(ranges)):
                raise ValueError(
                    f'num_modules={self.num_modules} but the cuts '
                    f'{list(self.partition)} make {len(ranges)} modules: '
                    'leave num_modules out'
                )
            return ranges
        cut = PARTITIONS[self.partition]
        return cut(units, self.wanted_modules, first)

    def checkpointed(self, num_modules: int) -> List[int]:
        """Indices of the local modules that are recomputed."""
        if isinstance(self.checkpoint, bool):
            return list(range(num_modules)) if self.checkpoint else []
        indices = self.checkpoint
        if not isinstance(indices, (list, tuple)) or any(
            index not in range(num_modules) for index in indices
        ):
            raise ValueError(
                f'local_learning.checkpoint={indices!r}: expected True, '
                'False or indices of local modules, from 0 to '
                f'{num_modules - 1}'
            )
        return list(indices)


def merge_typed(
    base: Dict[str, Any], new: Mapping[str, Any]
) -> Dict[str, Any]:
    """Merge configs; where the type changes, nothing of the base stays."""
    if 'type' in new and type_name(new['type']) != type_name(base.get('type')):
        return dict(new)
    merged = dict(base)
    for key, value in new.items():
        both = isinstance(base.get(key), dict)
        if both and not isinstance(value, Mapping):
            raise ValueError(
                f'local_learning.auxiliary.{key}={value!r}: expected a dict'
            )
        merged[key] = merge_typed(base[key], value) if both else value
    return merged
