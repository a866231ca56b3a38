# Copyright (c) mmfba authors.
import copy
from dataclasses import dataclass
from typing import (
    Any,
    Callable,
    Dict,
    Iterator,
    List,
    Mapping,
    Optional,
    Tuple,
)

import torch
from torch import Tensor, nn

from .features import INPUT, FeatureSpec


@dataclass(frozen=True)
class Residual:
    """A residual block's forward as its two paths, each of which can be
    recomputed apart from the other.

    Args:
        branch (Callable): The residual function. Its output may be changed
            in place.
        shortcut (Callable, optional): The projection; None for the identity.
        activation (Callable): What follows the sum of both; it may work in
            place.
    """

    branch: Callable[[Tensor], Tensor]
    shortcut: Optional[Callable[[Tensor], Tensor]]
    activation: Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Unit:
    """The smallest piece of a backbone that a cut can fall after.

    Args:
        name (str): Dotted name of the unit, e.g. ``layer1.0``.
        stage (int): Stage that the unit belongs to, from 1. The stem is 0.
        forward (Callable): Maps a feature of shape (N, C, H, W) to the next.
        modules (tuple[nn.Module]): Modules whose parameters the unit trains.
        cuttable (bool): Whether a cut may fall after the unit. A stem that is
            no module of its own is not cuttable: it is trained with the unit
            that follows. Defaults to True.
        recomputes (bool): Whether ``forward`` keeps only its input by itself.
            Defaults to False.
        residual (Residual, optional): ``forward`` in parts, where it is a
            residual block. Defaults to None.
    """

    name: str
    stage: int
    forward: Callable[[Tensor], Tensor]
    modules: Tuple[nn.Module, ...]
    cuttable: bool = True
    recomputes: bool = False
    residual: Optional[Residual] = None

    def parameters(self) -> Iterator[nn.Parameter]:
        """Yield the parameters that the unit trains."""
        for module in self.modules:
            yield from module.parameters()

    @property
    def trained(self) -> bool:
        """bool: Whether the unit has a parameter that is trained."""
        return any(p.requires_grad for p in self.parameters())

    @property
    def frozen(self) -> bool:
        """bool: Whether the unit has parameters and none is trained."""
        return not self.trained and any(True for _ in self.parameters())


@dataclass(frozen=True)
class Chain:
    """A backbone as its units in execution order.

    A chain is made anew from the backbone for every step and never stored on
    a module, so that a deep copy of the model (EMA) runs its own weights.

    Args:
        units (tuple[Unit]): The units in execution order.
        outputs (tuple[str]): Names of the features that ``finish`` takes: of
            units, or ``'input'``.
        finish (Callable): Maps ``{name: feature}`` to what the backbone's own
            forward returns. A feature that nothing downstream reads may be
            None.
        make_stage (Callable): ``make_stage(in_channels, out_channels, stride,
            num_blocks)`` builds fresh blocks of the backbone's own kind: the
            simplified blocks of an SLM.
    """

    units: Tuple[Unit, ...]
    outputs: Tuple[str, ...]
    finish: Callable[[Mapping[str, Tensor]], Any]
    make_stage: Callable[..., nn.Module]

    @property
    def names(self) -> List[str]:
        """list[str]: All features in the order in which they are computed."""
        return [INPUT] + [unit.name for unit in self.units]

    def first_trained(self) -> int:
        """Index of the first unit that is trained.

        Raises:
            ValueError: If all units are frozen, or a frozen unit follows a
                trained one.
        """
        trained = [unit.trained for unit in self.units]
        if not any(trained):
            raise ValueError(
                'All units of the backbone are frozen: there is '
                'nothing that local learning could train'
            )
        first = trained.index(True)
        for unit in self.units[first:]:
            if unit.frozen:
                raise ValueError(
                    f'Unit {unit.name!r} is frozen although '
                    f'{self.units[first].name!r} before it is trained. '
                    'Frozen units must form a prefix of the backbone '
                    '(frozen_stages)'
                )
        return first


def probe_features(
    backbone: nn.Module,
    make_chain: Callable[[nn.Module], Chain],
    size: int = 256,
) -> Dict[str, FeatureSpec]:
    """Find channels and stride of every feature on the meta device.

    Args:
        backbone (nn.Module): The backbone. It is copied, not changed.
        make_chain (Callable): Makes the chain of a backbone.
        size (int): Height and width of the probing input in pixels.
            Defaults to 256.

    Returns:
        dict[str, FeatureSpec]: The features in order, the input first.

    Raises:
        TypeError: If a unit cannot run there.
    """
    probe = copy.deepcopy(backbone).to('meta')
    probe.eval()  # mmdet's backbones return nothing here
    chain = make_chain(probe)
    channels = next(
        m.in_channels
        for m in _modules(chain.units[0])
        if isinstance(m, nn.Conv2d)
    )
    specs = {INPUT: FeatureSpec(INPUT, 0, channels, 1)}
    x = torch.empty(1, channels, size, size, device='meta')
    for unit in chain.units:
        try:
            with torch.no_grad():
                x = unit.forward(x)
            width = x.shape[-1]
        except Exception as error:
            raise TypeError(
                f'The unit {unit.name!r} cannot run on the meta device, '
                'where channels and strides are found: its operators (such '
                'as deformable convolution) or what it returns are not '
                f'supported. It said: {error}'
            ) from error
        specs[unit.name] = FeatureSpec(
            unit.name, unit.stage, x.shape[1], size // width
        )
    return specs


def _modules(unit: Unit) -> Iterator[nn.Module]:
    for module in unit.modules:
        yield from module.modules()
