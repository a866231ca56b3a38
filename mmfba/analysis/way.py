# Copyright (c) mmfba authors.
from dataclasses import dataclass
from typing import Optional

from .step_profile import StepProfile
from .training_arms import Changes

FLOPS_PER_SECOND, OPERATORS_PER_SECOND = 10e12, 70e3
"""Of a GPU of 8 to 12 GB, in single precision, and of Python before it."""


@dataclass
class Way:
    """One way to train.

    Attributes:
        words (str): What it is.
        exact (str): Whether its gradients are those of plain training:
            ``'yes'``, ``'nearly'`` or ``'no'``.
        changes (dict): New values of the config by their dotted keys.
        profile (StepProfile, optional): Memory, FLOPs and operators; None if
            they cannot be measured on the meta device.
        plain (bool): Whether it is plain training, to which the others are
            compared.
        stock (bool): Whether it needs nothing of mmfba.
        measured (tuple[float, float], optional): Peak in bytes, infinite if
            memory ran out, and seconds of a step, on a GPU.
    """

    words: str
    exact: str
    changes: Changes
    profile: Optional[StepProfile] = None
    plain: bool = False
    stock: bool = False
    measured: Optional[tuple[float, float]] = None

    @property
    def peak(self) -> float:
        """float: Bytes at the worst moment, infinite if not known."""
        if self.measured:
            return self.measured[0]
        return self.profile.peak_bytes if self.profile else float('inf')

    @property
    def seconds(self) -> float:
        """float: Estimate of a step, to compare with other ways."""
        if self.profile is None:
            return 1.0
        return max(
            self.profile.flops / FLOPS_PER_SECOND,
            self.profile.operators / OPERATORS_PER_SECOND,
        )

    @property
    def rank(self) -> tuple[bool, bool, float]:
        """tuple: Less is better: exact gradients before all, then what needs
        no change, then time."""
        seconds = self.measured[1] if self.measured else self.seconds
        return self.exact == 'no', not self.plain, seconds


def recommend(ways: list[Way], budget: float) -> Optional[Way]:
    """The first by rank that fits into a budget, if one does.

    Where some have been measured, it is one of them.
    """
    measured = [way for way in ways if way.measured]
    fitting = [way for way in measured or ways if way.peak <= budget]
    return min(fitting, key=lambda way: way.rank, default=None)
