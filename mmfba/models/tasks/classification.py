# Copyright (c) mmfba authors.
from typing import Any, Dict, List

from mmpretrain.registry import MODELS as MMPRETRAIN_MODELS
from torch import Tensor

from mmfba.local import POOLED

from ..auxiliary import MainModel
from ..localised import Localised
from ..neck_probe import probe_neck

AUXILIARY = dict(
    type='mmfba.FBAAuxiliary',
    neck=dict(type='mmfba.SLMNeck', mode='later_stages', fusion='none'),
    head=dict(type='mmfba.TaskHead', mode='copy'),
)


class LocalClassification(Localised):
    """Local learning of a classifier of mmpretrain."""

    library = 'mmpretrain'

    def default_auxiliary(self) -> Dict[str, Any]:
        return AUXILIARY

    def main_model(self) -> MainModel:
        network, configs = self.cut_network(), self.plain_configs
        return MainModel(
            **network,
            outputs_read=network['outputs'],
            registry=MMPRETRAIN_MODELS,
            neck=configs.get('neck'),
            head=configs.get('head') or {},
            head_module=self.head,
            data_preprocessor=self.data_preprocessor,
            head_inputs=probe_neck(self.neck, self.output_shapes()).returns,
        )

    def default_taps(self, main: MainModel, cuts: List[str]) -> List[str]:
        return [cut + POOLED for cut in cuts]

    def loss(self, inputs: Tensor, data_samples: List[Any]) -> Dict[str, Any]:
        """Losses of one step; local backwards run inside.

        Args:
            inputs (Tensor): Images (N, C, H, W).
            data_samples (list[DataSample]): Their labels.

        Returns:
            dict: Losses of the head and values of the local losses.
        """
        plain = super().loss
        return self.local_loss(
            inputs, data_samples, lambda: plain(inputs, data_samples)
        )
