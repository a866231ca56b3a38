# Copyright (c) mmfba authors.
from typing import Tuple

from torch import Tensor

from mmfba.local import POOLED, FeatureBank
from mmfba.registry import MODELS
from mmfba.type_name import type_name

from ..unit_spec import UnitSpec
from .auxiliary_neck import AuxiliaryNeck
from .fusion import Fusion, readable_entries
from .slm import SLM, slm_stages


@MODELS.register_module()
class SLMNeck(AuxiliaryNeck):
    """Auxiliary neck of classification, super-resolution, and detection
    without an FPN.

    The SLM simplifies the rest of the backbone; a copy of the main network's
    neck, if it has one, pools; the result is fused with the bank.

    Args:
        spec (UnitSpec): The cut.
        mode (str): See :func:`slm_stages`. Defaults to ``'stage_chain'``.
        channel_ratio (float): See :class:`SLM`. Defaults to 1.0.
        blocks_per_stage (int): See :class:`SLM`. Defaults to 1.
        fusion (str): See :class:`Fusion`. Defaults to ``'none'``.
    """

    def __init__(
        self,
        spec: UnitSpec,
        mode: str = 'stage_chain',
        channel_ratio: float = 1.0,
        blocks_per_stage: int = 1,
        fusion: str = 'none',
    ) -> None:
        super().__init__()
        if 'in_channels' in (spec.main.neck or {}):
            raise ValueError(
                'auxiliary.neck.type=mmfba.SLMNeck returns one feature, but '
                'the head reads the levels of '
                f'{type_name(spec.main.neck["type"])}: use mmfba.SLMFPN or '
                'mmfba.SLMLevel'
            )
        stages = slm_stages(spec, mode)
        self.slm = SLM(spec, stages, channel_ratio, blocks_per_stage)
        self.out_channels = list(self.slm.channels.values())[-1]
        pooled = spec.main.neck is not None
        self.pool = (
            spec.main.registry.build(spec.main.neck) if pooled else None
        )
        if fusion != 'none':
            self.reads = readable_entries(spec, pooled)
        bank_channels = [
            spec.features[name.replace(POOLED, '')].channels
            for name in self.reads
        ]
        self.fusion = Fusion(fusion, self.out_channels, bank_channels, pooled)

    def collect(self, x: Tensor, bank: FeatureBank) -> Tuple[Tensor]:
        """Simplify, pool and fuse.

        Args:
            x (Tensor): Feature at the cut, (N, C, H, W).
            bank (FeatureBank): This step's features.

        Returns:
            tuple[Tensor]: One feature, (N, C) if the main network's neck
            pools, else (N, C, H, W).
        """
        *_, x = self.slm(x).values()
        if self.pool is not None:
            x = self.pool((x,))[0]
        return (self.fusion(x, [bank.get(name) for name in self.reads]),)
