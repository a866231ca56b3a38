# Copyright (c) mmfba authors.
from typing import Any, Dict, Optional, Tuple

from mmengine.model import ModuleDict
from torch import Tensor

from mmfba.local import INPUT, FeatureBank
from mmfba.registry import MODELS

from ...choices import check_choice
from ...neck_probe import is_fpn, neck_name
from ..unit_spec import UnitSpec
from .fusion import OPERATORS, Fusion, readable_entries
from .levels import Level, level_size, plan_levels
from .pyramid_neck import Features, PyramidNeck
from .slm import SLM


@MODELS.register_module()
class SLMFPN(PyramidNeck):
    r"""Auxiliary neck of detection: a local FPN (S1 eq. 5).

    .. math::
        f_{A_i}(\cdot) = \mathrm{LocalFPN}(b_i(\cdot), F_{bank})

    It completes the backbone's outputs and hands them to a copy of the main
    network's neck: levels of earlier stages come from the bank, the level of
    a stage that ends at the cut is the cut's feature, later ones are made by
    the SLM. In mode ``later_stages`` the cut's feature also stands for a
    stage that is not complete. In mode ``stage_tail`` the SLM makes the level
    of the cut's own stage, and the stride-2 convs of the local FPN make the
    deeper ones.

    A level that the SLM makes and the bank holds too (timing ``two_pass``)
    is fused. With fusion ``none`` no feature of the bank is read; levels that
    only it could give are zero.

    Args:
        spec (UnitSpec): The cut.
        mode (str): See :func:`slm_stages`. Defaults to ``'stage_chain'``.
        channel_ratio (float): See :class:`SLM`. Defaults to 0.5.
        blocks_per_stage (int): See :class:`SLM`. Defaults to 1.
        fusion (str): See :class:`Fusion`. Defaults to ``'add'``.
        out_channels (int, optional): See :class:`PyramidNeck`. Defaults to
            None.
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
        super().__init__(spec, out_channels)
        check_choice('auxiliary.neck.fusion', fusion, OPERATORS)
        self.slm = SLM(spec, mode, channel_ratio, blocks_per_stage)
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
        channels = [level.channels for level in self.plan.levels]
        self.neck = self.copy_main_neck(spec, channels, **self._by_convs())

    def _by_convs(self) -> Dict[str, Any]:
        """Options of an FPN that makes the deeper levels by its convs."""
        if not self.plan.by_convs:
            return {}
        main = self.main_neck
        if not is_fpn(main):
            raise ValueError(
                'auxiliary.neck: mmfba.BankFPN, and mmfba.SLMFPN in mode '
                "'stage_tail', make the missing levels by an FPN, but the "
                f'neck of the detector is a {neck_name(main)}: use '
                "type='mmfba.SLMFPN' with mode='stage_chain'"
            )
        return dict(
            start_level=0,
            end_level=-1,
            add_extra_convs='on_output',
            num_outs=main['num_outs'] + self.plan.num_dropped,
        )

    @property
    def reads(self) -> Tuple[str, ...]:
        levels = self.plan.levels
        sized = any(level.source == 'zeros' for level in levels)
        names = [
            level.feature.name
            for level in levels
            if level.fused or level.source == 'bank'
        ]
        return tuple([INPUT, *names] if sized else names)

    def collect(self, x: Tensor, bank: FeatureBank) -> Features:
        made = self.slm(x)
        return tuple(
            self._feature(level, x, made, bank) for level in self.plan.levels
        )

    def finish(self, features: Features) -> Tuple[Tensor, ...]:
        return super().finish(features)[self.plan.num_dropped :]

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
            image = bank.get(INPUT)
            size = level_size(level.feature, image)
            return image.new_zeros(len(image), level.channels, *size)
        return x if level.source == 'cut' else None
