# Copyright (c) mmfba authors.
from typing import Any, Dict, Optional, Sequence, Tuple

from mmengine.model import BaseModule, ModuleDict
from torch import Tensor

from mmfba.local import INPUT, FeatureBank
from mmfba.registry import MODELS

from ..unit_spec import UnitSpec
from .fusion import Fusion, check_operator, readable_entries
from .levels import Level, plan_levels
from .slm import SLM, slm_stages


@MODELS.register_module()
class SLMFPN(BaseModule):
    r"""Auxiliary neck of detection: a local FPN (S1 eq. 5).

    .. math::
        f_{A_i}(\cdot) = \mathrm{LocalFPN}(b_i(\cdot), F_{bank})

    It completes the backbone's outputs and hands them to a copy of the main
    network's neck: levels of earlier stages come from the bank, the level of
    a stage that ends at the cut is the cut's feature, later ones are made by
    the SLM. In mode ``stage_tail`` the SLM makes the level of the cut's own
    stage, and the stride-2 convs of the local FPN make the deeper ones.

    A level that the SLM makes and the bank holds too (timing ``two_pass``)
    is fused. With fusion ``none`` no feature of the bank is read; levels that
    only it could give are zero.

    Args:
        spec (UnitSpec): The cut.
        mode (str): See :func:`slm_stages`. Defaults to ``'stage_chain'``.
        channel_ratio (float): See :class:`SLM`. Defaults to 0.5.
        blocks_per_stage (int): See :class:`SLM`. Defaults to 1.
        fusion (str): See :class:`Fusion`. Defaults to ``'add'``.
        out_channels (int, optional): Channels of the local FPN. Defaults to
            None, an eighth of the main network's neck, but at least 32.

    Raises:
        ValueError: If the main network's neck cannot be copied so.
    """

    def __init__(
        self,
        spec: UnitSpec,
        mode: str = 'stage_chain',
        channel_ratio: float = 0.5,
        blocks_per_stage: int = 1,
        fusion: str = 'add',
        out_channels: Optional[int] = None,
    ) -> None:
        super().__init__()
        check_operator(fusion)
        main = main_neck(spec)
        stages = slm_stages(spec, mode)
        self.slm = SLM(spec, stages, channel_ratio, blocks_per_stage)
        bank = () if fusion == 'none' else readable_entries(spec, False)
        self.plan = plan_levels(spec, mode, self.slm.channels, bank)
        self.fusions = ModuleDict(
            {
                str(level.feature.stage): Fusion(
                    fusion, level.channels, [level.feature.channels], False
                )
                for level in self.plan.levels
                if level.fused
            }
        )
        self.out_channels = out_channels or slim_channels(main)
        self.neck = spec.main.registry.build(self._neck_cfg(main))

    def _neck_cfg(self, main: Dict[str, Any]) -> Dict[str, Any]:
        channels = [level.channels for level in self.plan.levels]
        cfg = neck_copy(main, channels, self.out_channels)
        if self.plan.by_convs:
            if main['type'].split('.')[-1] != 'FPN':
                raise ValueError(
                    "auxiliary.neck.mode='stage_tail' makes the missing "
                    'levels by an FPN, but the neck of the detector is a '
                    f"{main['type']}: use mode='stage_chain'"
                )
            cfg.update(
                start_level=0,
                end_level=-1,
                add_extra_convs='on_output',
                num_outs=main['num_outs'] + self.plan.num_dropped,
            )
        return cfg

    @property
    def reads(self) -> Tuple[str, ...]:
        """tuple[str]: Names of the bank entries that :meth:`forward` reads."""
        levels = self.plan.levels
        sized = any(level.source == 'zeros' for level in levels)
        names = [level.feature.name for level in levels if level.banked]
        return tuple([INPUT, *names] if sized else names)

    def forward(self, x: Tensor, bank: FeatureBank) -> Tuple[Tensor, ...]:
        """Build the local pyramid.

        Args:
            x (Tensor): Feature at the cut, (N, C, H, W).
            bank (FeatureBank): This step's features.

        Returns:
            tuple[Tensor]: Maps (N, out_channels, h, w) of the levels that the
            main network's neck returns.
        """
        return self.finish(self.collect(x, bank))

    def collect(
        self, x: Tensor, bank: FeatureBank
    ) -> Tuple[Optional[Tensor], ...]:
        """What the copy of the main network's neck reads.

        Args:
            x (Tensor): See :meth:`forward`.
            bank (FeatureBank): See :meth:`forward`.

        Returns:
            tuple[Tensor, optional]: A map for each level of the backbone,
            None where the neck does not read it.
        """
        made = self.slm(x)
        return tuple(
            self._feature(level, x, made, bank) for level in self.plan.levels
        )

    def finish(
        self, features: Tuple[Optional[Tensor], ...]
    ) -> Tuple[Tensor, ...]:
        """The local pyramid of what :meth:`collect` returns."""
        return tuple(self.neck(features))[self.plan.num_dropped :]

    def _feature(
        self,
        level: Level,
        x: Tensor,
        made: Dict[int, Tensor],
        bank: FeatureBank,
    ) -> Optional[Tensor]:
        name, stage = level.feature.name, level.feature.stage
        if level.source == 'slm':
            feature = made[stage]
            if level.fused:
                feature = self.fusions[str(stage)](feature, [bank.get(name)])
            return feature
        if level.source == 'bank':
            return bank.get(name)
        if level.source == 'zeros':
            return level.zeros(bank.get(INPUT))
        return x if level.source == 'cut' else None


def main_neck(spec: UnitSpec) -> Dict[str, Any]:
    """Config of the main network's neck, which auxiliary necks copy.

    Args:
        spec (UnitSpec): The cut.

    Raises:
        ValueError: If it is no neck of a detector.
    """
    neck = spec.main.neck or {}
    if 'in_channels' not in neck:
        raise ValueError(
            'auxiliary.neck.type: this auxiliary neck copies the neck of a '
            f'detector, the neck of the main network is {neck.get("type")}: '
            'choose another auxiliary.neck'
        )
    return neck


def neck_copy(
    neck: Dict[str, Any], channels: Sequence[int], out_channels: int
) -> Dict[str, Any]:
    """Config of the same neck at other widths.

    Args:
        neck (dict): Config of the neck.
        channels (Sequence[int]): Channels of each level that it is given.
        out_channels (int): Channels that it returns.
    """
    several = isinstance(neck['in_channels'], (list, tuple))
    return dict(
        neck,
        in_channels=list(channels) if several else channels[-1],
        out_channels=out_channels,
    )


def slim_channels(neck: Dict[str, Any]) -> int:
    """Channels of a slim copy of a neck."""
    return min(neck['out_channels'], max(32, neck['out_channels'] // 8))
