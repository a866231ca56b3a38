# Copyright (c) mmfba authors.
from typing import Any, Dict, List

from mmagic.registry import MODELS as MMAGIC_MODELS
from torch import Tensor

from mmfba.local import FeatureSpec
from mmfba.local.probe import Probe

from ..auxiliary import MainModel
from ..blocks import image_tail
from ..localised import Localised

AUXILIARY = dict(
    type='mmfba.FBAAuxiliary',
    neck=dict(type='mmfba.SLMNeck', mode='stage_tail', fusion='add'),
    head=dict(type='mmfba.SRHead', mode='slim'),
)


class LocalRestoration(Localised):
    """Local learning of a model of mmagic that restores images."""

    library = 'mmagic'
    network_name = 'generator'

    def default_auxiliary(self) -> Dict[str, Any]:
        return AUXILIARY

    def features(self, found: Probe) -> Dict[str, FeatureSpec]:
        """Without those of the tail, whose resolution is the output's."""
        tail = {unit.name for unit in self.anatomy.units if unit.tail}
        every = super().features(found)
        return {name: f for name, f in every.items() if name not in tail}

    def main_model(self) -> MainModel:
        (output,) = self._outputs
        scale = output[-1] // self._inputs[-1]
        network = self.cut_network()
        return MainModel(
            **network,
            outputs_read=network['outputs'],
            registry=MMAGIC_MODELS,
            neck=None,
            head={},
            head_module=self.pixel_loss,
            tail=image_tail(self.generator, scale, output[1]),
        )

    def default_taps(self, main: MainModel, cuts: List[str]) -> List[str]:
        return [self.anatomy.units[0].name] if cuts else []

    def forward_train(
        self, inputs: Tensor, data_samples: Any = None, **kwargs
    ) -> Dict[str, Any]:
        """Losses of one step; local backwards run inside.

        Args:
            inputs (Tensor): Low-resolution images (N, C, H, W).
            data_samples (DataSample): Stacked samples with ``gt_img``.

        Returns:
            dict: The pixel loss and values of the local losses.
        """
        plain = super().forward_train
        return self.local_loss(
            inputs,
            data_samples,
            lambda: plain(inputs, data_samples, **kwargs),
        )
