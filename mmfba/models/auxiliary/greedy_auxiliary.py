# Copyright (c) mmfba authors.
from typing import Any, Dict

from torch import Tensor

from mmfba.local import FeatureBank
from mmfba.registry import MODELS

from .auxiliary_network import AuxiliaryNetwork
from .heads.classifier import build_classifier
from .initialization import init_cfg_like
from .unit_spec import UnitSpec


@MODELS.register_module()
class GreedyAuxiliary(AuxiliaryNetwork):
    r"""Greedy supervised learning: a linear classifier of the pooled feature.

    .. math::
        L_i = \mathrm{CE}\big(W\,\mathrm{GAP}(x) + b,\; y\big)

    "Greedy SL" of `InfoPro <https://arxiv.org/abs/2101.10832>`_; without any
    auxiliary layer of `Greedy Layerwise Learning Can Scale to ImageNet
    <https://arxiv.org/abs/1812.11446>`_.

    Args:
        spec (UnitSpec): The cut.
    """

    def __init__(self, spec: UnitSpec) -> None:
        super().__init__(init_cfg_like(spec.main.backbone))
        self.head = build_classifier(spec, spec.cut.channels)

    def loss(
        self, x: Tensor, bank: FeatureBank, data_samples: Any
    ) -> Dict[str, Any]:
        return self.head.loss((x.mean(dim=(2, 3)),), data_samples)
