# Copyright (c) mmfba authors.
import copy
from typing import List, Optional, Sequence, Tuple

from mmengine.model import BaseModule, ModuleList
from torch import Tensor, nn

from mmfba.local import FeatureSpec

from ...neck_probe import Shape, map_shapes, neck_name, run_without_data
from ..unit_spec import UnitSpec

Maps = Sequence[Optional[FeatureSpec]]


class ProjectedNeck(BaseModule):
    """A neck behind 1x1 convs, which give maps the widths that it takes."""

    def __init__(self, neck: nn.Module, given: Maps, taken: Maps) -> None:
        super().__init__()
        self.projects = ModuleList(
            nn.Identity()
            if g is None or g.channels == t.channels
            else nn.Conv2d(g.channels, t.channels, 1)
            for g, t in zip(given, taken)
        )
        self.neck = neck

    def forward(self, maps: Sequence[Optional[Tensor]]) -> Tuple[Tensor, ...]:
        return self.neck(
            tuple(
                None if x is None else project(x)
                for project, x in zip(self.projects, maps)
            )
        )


def copy_neck(
    spec: UnitSpec, given: Maps, taken: Maps
) -> Tuple[nn.Module, List[Shape]]:
    """Copy the main network's neck as a whole, with weights of its own.

    Args:
        spec (UnitSpec): The cut.
        given (Sequence[FeatureSpec, optional]): What the copy is given, None
            for a map that it does not read.
        taken (Sequence[FeatureSpec, optional]): What the main network's neck
            is given; to these widths 1x1 convs lead where it takes no other.

    Returns:
        tuple: The neck, and shapes of what it returns for two images.

    Raises:
        ValueError: If it cannot run; it names the neck and what it said.
    """
    neck = spec.main.registry.build(copy.deepcopy(spec.main.neck))
    try:
        return neck, run_without_data(neck, map_shapes(given))
    except Exception:
        neck = ProjectedNeck(neck, given, taken)
    try:
        return neck, run_without_data(neck, map_shapes(given))
    except Exception as error:
        raise ValueError(
            f'auxiliary.neck: a copy of {neck_name(spec.main.neck)} cannot '
            f'run on what the auxiliary network makes ({error}): choose '
            'another auxiliary.neck, or train by back-propagation with '
            'local_learning.num_modules=1'
        ) from error
