# Copyright (c) mmfba authors.
"""What a training run will need, and how to make it fit."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Optional

from mmengine.config import Config
from mmengine.registry import DefaultScope

from .benchmark import ArmRun
from .step_profile import StepProfile
from .training_arms import check_local
from .unit_costs import UnitCosts, measure_units

# Tokens of an arm that cost little where the model accepts them.
CHEAP = ('chunk', 'stem')
# Then these, in turn: what is tried before the next costs fewer FLOPs.
STEPS = ('', '+balanced', '+checkpoint2', '+checkpoint')
STEPS += ('+balanced+checkpoint', '+k8+balanced+checkpoint')
OPTIONS = dict(chunk='chunk=1', stem='lean_stem=True')
OPTIONS.update(checkpoint='checkpoint=True', checkpoint2='checkpoint=[0,1]')
UNITS = {'': 1, 'B': 1, 'KIB': 2**10, 'MIB': 2**20, 'GIB': 2**30}
UNITS.update(KB=10**3, MB=10**6, GB=10**9)


@dataclass
class Setting:
    """One way to train, measured on the meta device.

    Attributes:
        arm (str): See :func:`make_arm`.
        cuts (List[str]): Names of the units that are cut after.
        options (List[str]): ``key=value`` pairs that give it.
        profile (StepProfile): Memory and FLOPs.
    """

    arm: str
    cuts: list[str]
    options: list[str]
    profile: StepProfile


def parse_bytes(text: str) -> int:
    """Read a size such as ``8GiB`` or ``500 MB``.

    Raises:
        ValueError: If it is none.
    """
    match = re.fullmatch(r'\s*([\d.]+)\s*([a-zA-Z]*)\s*', text)
    unit = match and UNITS.get(match[2].upper())
    if not unit or not float(match[1]):
        raise ValueError(f'no size: {text!r}; write it as 8GiB or 500MiB')
    return int(float(match[1]) * unit)


def describe_units(
    cfg: Config, batch_size: int, shape: tuple[int, int]
) -> UnitCosts:
    """Memory and FLOPs of each unit of a config's backbone."""
    check_local(cfg)
    run = ArmRun(cfg, 'fba', batch_size, shape, 'meta')
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope')):
        options = run.model.options
        checkpoint = options.checkpoint is True
        return measure_units(run.model, options, batch_size, shape, checkpoint)


def measure_setting(
    cfg: Config, arm: str, batch_size: int, shape: tuple[int, int]
) -> Setting:
    """Measure one way to train on the meta device."""
    check_local(cfg)
    return _measure(ArmRun(cfg, arm, batch_size, shape, 'meta'), arm)


def _measure(run: ArmRun, arm: str) -> Setting:
    cuts = run.model.cuts
    options = [f'num_modules={len(cuts) + 1}']
    options += [f'partition=[{",".join(cuts)}]'] if cuts else []
    options += [OPTIONS[t] for t in arm.split('+') if t in OPTIONS]
    options = [f'model.local_learning.{option}' for option in options]
    return Setting(arm, cuts, options, run.profile())


def find_settings(
    cfg: Config,
    batch_size: int,
    shape: tuple[int, int],
    refused: Optional[dict[str, str]] = None,
) -> Iterator[Setting]:
    """Ways to train that the model accepts, cheap ones first.

    Args:
        cfg (Config): A config of a local model.
        batch_size (int): Images in the batch.
        shape (tuple[int, int]): Height and width of the network's input.
        refused (dict[str, str], optional): Filled with the arms that the
            model refuses, and why. Defaults to None.
    """
    refused = {} if refused is None else refused

    def measure(arm: str) -> Optional[Setting]:
        try:
            run = ArmRun(cfg, arm, batch_size, shape, 'meta')
        except ValueError as error:  # of what was wrong when it was built
            refused[arm] = str(error)
            return None
        return _measure(run, arm)

    yield measure_setting(cfg, 'fba', batch_size, shape)
    tokens = [t for t in CHEAP if measure(f'fba+{t}')]
    for step in STEPS:
        found = measure('+'.join(['fba', *tokens]) + step)
        if found:
            yield found


def cheapest_setting(
    cfg: Config,
    batch_size: int,
    shape: tuple[int, int],
    budget: int,
    refused: Optional[dict[str, str]] = None,
) -> Setting:
    """The first of :func:`find_settings` that fits into a budget.

    Args:
        cfg (Config): A config of a local model.
        batch_size (int): Images in the batch.
        shape (tuple[int, int]): Height and width of the network's input.
        budget (int): Bytes.
        refused (dict[str, str], optional): See :func:`find_settings`.
            Defaults to None.

    Raises:
        ValueError: If none fits: it names the least peak and its module.
    """
    found: list[Setting] = []
    for setting in find_settings(cfg, batch_size, shape, refused):
        if setting.profile.peak_bytes <= budget:
            return setting
        found.append(setting)
    least = min(found, key=lambda s: s.profile.peak_bytes)
    peaks = least.profile.peak_by_tag
    raise ValueError(
        f'nothing fits into {budget / 2**30:.2f} GiB: the least peak is '
        f'{least.profile.peak_bytes / 2**30:.2f} GiB ({least.arm}), set by '
        f'module {max(peaks, key=peaks.get)} of {len(peaks)}; '
        f'{least.profile.static_bytes / 2**30:.2f} GiB of it are weights, '
        'optimizer state and images: make the batch or the images smaller'
    )
