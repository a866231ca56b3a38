# Copyright (c) mmfba authors.
from dataclasses import replace
from typing import Any, Tuple

from torch import Tensor, nn

from mmfba.local import POOLED, FeatureBank
from mmfba.registry import MODELS

from ...neck_probe import Shape, neck_name
from ..unit_spec import UnitSpec
from .auxiliary_neck import AuxiliaryNeck
from .fusion import Fusion, readable_entries
from .neck_copy import copy_neck
from .slm import SLM

POOLING = ('GlobalAveragePooling',)


@MODELS.register_module()
class SLMNeck(AuxiliaryNeck):
    """Auxiliary neck of classification, super-resolution, and detection
    without an FPN.

    The SLM simplifies the rest of the backbone; a copy of the main network's
    neck, if it has one, follows; the result is fused with the bank.

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
        self.slm = SLM(spec, mode, channel_ratio, blocks_per_stage)
        stage, self.out_channels = list(self.slm.channels.items())[-1]
        self.pool, pooled = None, False
        vectors = [len(shape) == 2 for shape in spec.main.head_inputs or ()]
        if vectors == [True] and _pools(spec.main.neck):
            self.pool, pooled = _average, True
        elif spec.main.neck is not None:
            self.pool, shape = self._copy_neck(spec, stage)
            self.out_channels, pooled = shape[1], len(shape) == 2
        if fusion != 'none':
            self.reads = readable_entries(spec, pooled)
        bank_channels = [
            spec.features[name.removesuffix(POOLED)].channels
            for name in self.reads
        ]
        self.fusion = Fusion(fusion, self.out_channels, bank_channels, pooled)

    def _copy_neck(
        self, spec: UnitSpec, stage: int
    ) -> Tuple[nn.Module, Shape]:
        """The neck of one feature, and the shape of what it returns."""
        main = spec.main.head_inputs or ()
        end = spec.stage_ends[stage]
        given = replace(end, channels=self.out_channels)
        taken = spec.features[spec.main.outputs[-1]]
        try:
            neck, (shape,) = copy_neck(spec, [given], [taken])
        except ValueError as error:
            if len(main) < 2:
                raise
            raise ValueError(
                'auxiliary.neck.type=mmfba.SLMNeck returns one feature, but '
                f'the head reads the levels of {neck_name(spec.main.neck)}: '
                'use mmfba.SLMFPN'
            ) from error
        if main and shape[2:] != main[-1][2:]:
            raise ValueError(
                'auxiliary.neck.type=mmfba.SLMNeck: the feature of stage '
                f'{stage} does not give {neck_name(spec.main.neck)} its size '
                "in the main network: set mode='stage_chain'"
            )
        return neck, shape

    def collect(self, x: Tensor, bank: FeatureBank) -> Tuple[Tensor]:
        """One feature: vectors (N, C) where the main network's neck returns
        them, else a map (N, C, H, W)."""
        *_, x = self.slm(x).values()
        if self.pool is not None:
            x = self.pool((x,))[0]
        return (self.fusion(x, [bank.get(name) for name in self.reads]),)


def _pools(neck: Any) -> bool:
    """Whether there is no neck, or one that averages and has no weights."""
    return neck is None or neck_name(neck) in POOLING


def _average(maps: Tuple[Tensor]) -> Tuple[Tensor]:
    return (maps[0].mean(dim=(2, 3)),)
