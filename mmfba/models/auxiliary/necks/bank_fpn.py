# Copyright (c) mmfba authors.
from typing import Optional

from mmfba.registry import MODELS

from ..unit_spec import UnitSpec
from .slm_fpn import SLMFPN


@MODELS.register_module()
class BankFPN(SLMFPN):
    """Auxiliary neck of detection: a local FPN of the bank, without an SLM.

    The cut's feature stands for the level of its stage, levels of earlier
    stages come from the bank, and the stride-2 convs of the local FPN make
    the deeper ones. It is :class:`SLMFPN` in mode ``stage_tail`` with
    ``blocks_per_stage=0``. With timing ``two_pass`` the bank has the deeper
    levels, too.

    Args:
        spec (UnitSpec): The cut.
        fusion (str): See :class:`SLMFPN`. Defaults to ``'add'``.
        out_channels (int, optional): See :class:`PyramidNeck`. Defaults to
            None.
    """

    def __init__(
        self,
        spec: UnitSpec,
        fusion: str = 'add',
        out_channels: Optional[int] = None,
    ) -> None:
        super().__init__(
            spec,
            mode='stage_tail',
            blocks_per_stage=0,
            fusion=fusion,
            out_channels=out_channels,
        )
