# Copyright (c) mmfba authors.
from typing import Tuple

from torch import Tensor, nn

from mmfba.local import FeatureBank
from mmfba.registry import MODELS

from ...choices import check_choice
from ..dgl_auxiliary import dgl_convs
from ..unit_spec import UnitSpec
from .auxiliary_neck import AuxiliaryNeck


@MODELS.register_module()
class ConvNeck(AuxiliaryNeck):
    r"""Auxiliary neck of the peers in super-resolution.

    .. math::
        f_{A_i}(x) = \mathrm{SRHead}\big(\mathrm{conv}_{1\times1}^3(x)\big)
        \;\text{(dgl)}, \qquad f_{A_i}(x) = \mathrm{SRHead}(x)
        \;\text{(greedy)}

    No paper has DGL or greedy learning in super-resolution; this form is
    ours. ``dgl``: the three 1x1 convs of :class:`DGLAuxiliary`; resolution is
    what the task is about and its networks have no batch normalisation, so
    neither pooling nor normalisation. ``greedy``: the feature as it is, so
    that the head alone is the auxiliary network.

    Args:
        spec (UnitSpec): The cut.
        method (str): ``'dgl'`` or ``'greedy'``.
    """

    def __init__(self, spec: UnitSpec, method: str) -> None:
        super().__init__()
        check_choice('auxiliary.neck.method', method, ('dgl', 'greedy'))
        if spec.main.tail is None:
            raise ValueError(
                'auxiliary.neck.type=mmfba.ConvNeck is for super-resolution: '
                "in detection use 'mmfba.DGLFPN', in classification "
                "auxiliary.type='mmfba.DGLAuxiliary' or "
                "'mmfba.GreedyAuxiliary'"
            )
        self.out_channels = spec.cut.channels
        self.neck = (
            dgl_convs(self.out_channels, self.out_channels, batch_norm=False)
            if method == 'dgl'
            else nn.Identity()
        )

    def collect(self, x: Tensor, bank: FeatureBank) -> Tuple[Tensor]:
        return (self.neck(x),)
