# Copyright (c) mmfba authors.
from typing import Any, Dict, List

from mmagic.models.base_models import BaseEditModel
from mmagic.registry import MODELS as MMAGIC_MODELS
from torch import Tensor

from mmfba.local import FeatureSpec, ImageWise
from mmfba.local.last_module import run_to_last_cut
from mmfba.local.probe import Probe

from ..auxiliary import MainModel
from ..blocks import image_tail, stage_maker
from ..image_wise import (
    ImageWisePixelLoss,
    check_image_wise_pixels,
    check_no_batch_norm,
)
from ..local_model import LocalModel

AUXILIARY = dict(
    type='mmfba.FBAAuxiliary',
    neck=dict(type='mmfba.SLMNeck', mode='stage_tail', fusion='add'),
    head=dict(type='mmfba.SRHead', mode='slim'),
)


class LocalRestoration(LocalModel):
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

    def main_model(self, found: Probe) -> MainModel:
        network = self.cut_network()
        # What is normalised over an image has lost the image's contrast.
        network['make_stage'] = stage_maker(self.generator, norm=False)
        first = [n for run in self.anatomy.units[0].runs for n in run]
        return MainModel(
            **network,
            outputs_read=network['outputs'],
            registry=MMAGIC_MODELS,
            neck=None,
            head={},
            head_module=self.pixel_loss,
            tail=image_tail(
                self.generator,
                self.scale,
                self._outputs[0][1],
                found.passes(first),
            ),
        )

    @property
    def scale(self) -> int:
        """int: How many times as high its images are as its inputs."""
        (output,) = self._outputs
        return output[-1] // self._inputs[-1]

    def default_taps(self, main: MainModel, cuts: List[str]) -> List[str]:
        return [self.anatomy.units[0].name] if cuts else []

    def forward_train(
        self, inputs: Tensor, data_samples: Any = None, **kwargs
    ) -> Dict[str, Any]:
        """Losses of one step and values of the local losses, see
        :meth:`local_loss`."""
        plain = super().forward_train
        return self.local_loss(plain, inputs, data_samples, **kwargs)

    def image_wise(self, images: Tensor, samples: Any) -> ImageWise:
        """The main loss, some images at a time from the last cut on."""
        before = self.anatomy.units[: self.ranges[-1][0]]
        rest = run_to_last_cut(
            self.generator,
            images,
            [name for unit in before for run in unit.runs for name in run],
            [name for u in before[-1:] for name in (u.end, *u.skips)],
        )
        loss = ImageWisePixelLoss(self.pixel_loss, samples.gt_img)
        return ImageWise(
            (images,), lambda parts, rows: loss(rest(*parts, rows), rows)
        )

    def check_image_wise(self) -> None:
        plain = super().forward_train.__func__
        if plain is not BaseEditModel.forward_train:
            super().check_image_wise()
        check_image_wise_pixels(self.pixel_loss)
        check_no_batch_norm(self.generator)
