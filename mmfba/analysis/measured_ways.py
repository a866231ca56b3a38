# Copyright (c) mmfba authors.
import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from mmengine.config import Config

from mmfba.local_config import complete
from mmfba.models.out_of_memory import is_out_of_memory

from .benchmark import ArmRun, measure
from .from_scratch import without_pretrained
from .way import Way

MOST = 5
"""Ways that are run."""


def check_gpu(steps: int) -> None:
    """Refuse to measure what cannot be.

    Raises:
        ValueError: If there are no steps to run, or no GPU.
    """
    if steps < 1:
        raise ValueError(f'--measure {steps}: no number of steps above 0')
    if not torch.cuda.is_available():
        raise ValueError(
            f'--measure {steps}: there is no GPU here to run steps on: leave '
            'it out, the table needs none'
        )


def measure_ways(
    ways: Sequence[Way],
    cfg: Config,
    images: int,
    shape: tuple[int, int],
    budget: float,
    steps: int,
    watch: Callable[[str], Any] = lambda words: None,
    device: str = 'cuda',
) -> None:
    """Run the first ways that should fit, and note what they really need.

    Args:
        ways (Sequence[Way]): By their rank.
        cfg (Config): What they change.
        images (int): Of one step of the optimizer.
        shape (tuple[int, int]): Height and width of the network's input.
        budget (float): Bytes.
        steps (int): Of each way, that are timed.
        watch (Callable): Called with the words of each way before it runs.
            Defaults to one that does nothing.
        device (str): Defaults to ``'cuda'``.
    """
    fitting = [w for w in ways if w.profile is None or w.peak <= budget]
    for way in fitting[:MOST] or [min(ways, key=lambda way: way.peak)]:
        watch(way.words)
        way.measured = _measure(way, cfg, images, shape, steps, device)


def _measure(
    way: Way, cfg: Config, images: int, shape: tuple, steps: int, device: str
) -> tuple[float, float]:
    cfg = copy.deepcopy(cfg)
    cfg.merge_from_dict(copy.deepcopy(way.changes))
    complete(cfg)
    # Which weights it starts from changes neither memory nor time.
    cfg.merge_from_dict(without_pretrained(cfg))

    def make() -> ArmRun:
        return ArmRun(cfg, 'local', images, shape, device)

    try:
        (row,), _ = measure({way.words: make}, steps)
        return row['peak_bytes'], row['step_time_s']
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        return float('inf'), float('inf')
    finally:
        torch.cuda.empty_cache()
