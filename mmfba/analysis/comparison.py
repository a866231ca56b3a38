# Copyright (c) mmfba authors.
"""Several configs, or settings of one, compared over several seeds."""

import argparse
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from mmengine.config import Config, DictAction

from mmfba.local_config import complete

from .benchmark import ArmRun, measure

KEYS = ('metric', 'shape', 'arms', 'config', 'options', 'seeds')


@dataclass(frozen=True)
class Arm:
    """One row of a comparison.

    Args:
        name (str): What the table calls it.
        config (str): Path of its config.
        options (tuple[str]): ``key=value`` pairs as behind
            ``--cfg-options``.
        run_options (tuple[str]): The same, but what this machine alone asks
            for, such as its precision: a run is known without them.
    """

    name: str
    config: str
    options: tuple[str, ...] = ()
    run_options: tuple[str, ...] = ()

    @property
    def folder(self) -> str:
        """str: Its name as part of a path."""
        return re.sub(r'[^\w.=-]+', '-', self.name).strip('-')

    def load(self) -> Config:
        """The config with the options merged."""
        cfg = Config.fromfile(self.config)
        parser = argparse.ArgumentParser()
        parser.add_argument('options', nargs='*', action=DictAction)
        options = [*self.options, *self.run_options]
        cfg.merge_from_dict(parser.parse_args(options).options or {})
        complete(cfg)
        return cfg


@dataclass(frozen=True)
class Comparison:
    """What a comparison file says.

    Args:
        metric (str): The test metric to compare, such as
            ``'coco/bbox_mAP'``.
        shape (tuple[int, int]): Height and width of the network's input.
        arms (tuple[Arm]): The first is the one that ratios refer to.
        seeds (tuple[int]): Each arm is trained with each of them.
    """

    metric: str
    shape: tuple[int, int]
    arms: tuple[Arm, ...]
    seeds: tuple[int, ...] = (0, 1, 2)

    @classmethod
    def from_file(
        cls, path: str, run_options: Sequence[str] = ()
    ) -> 'Comparison':
        """Read a comparison file; a ValueError says what is wrong in it.

        It is a config with the keys ``metric``, ``shape`` and ``arms``: a
        dict from the name of each arm to a dict of its ``config`` and
        ``options``. Beside them, ``config`` is that of arms which name none,
        ``options`` are those of all arms, and ``seeds`` are used for each.
        """
        cfg = Config.fromfile(path)
        unknown = [key for key in cfg if key not in KEYS]
        missing = [key for key in KEYS[:3] if key not in cfg]
        if unknown or missing:
            raise ValueError(
                f'{path}: unknown keys {unknown}, missing keys {missing}; '
                f'keys: {[*KEYS]}'
            )
        arms = []
        for name, arm in cfg.arms.items():
            config = arm.get('config', cfg.get('config', ''))
            if not Path(config).is_file():
                raise ValueError(
                    f'{path}: arms[{name!r}].config={config!r}: no such file'
                )
            options = [*cfg.get('options', ()), *arm.get('options', ())]
            arms.append(Arm(name, config, tuple(options), tuple(run_options)))
        if len({arm.folder for arm in arms}) < len(arms):
            raise ValueError(f'{path}: two arms have nearly the same name')
        seeds = tuple(cfg.get('seeds', (0, 1, 2)))
        return cls(cfg.metric, tuple(cfg.shape), tuple(arms), seeds)


def measure_costs(
    comparison: Comparison, device: str = 'meta', steps: int = 0
) -> list[dict[str, Any]]:
    """Memory, FLOPs and time of a training step of each arm, a row for each.

    The batch has the size of the first arm's training batch and random
    content; ``device`` and ``steps`` are those of
    :func:`mmfba.analysis.benchmark.measure`.
    """
    batch_size = comparison.arms[0].load().train_dataloader.batch_size

    def run(arm: Arm) -> ArmRun:
        cfg = arm.load()
        return ArmRun(cfg, 'local', batch_size, comparison.shape, device)

    factories = {arm.name: partial(run, arm) for arm in comparison.arms}
    return measure(factories, steps)[0]
