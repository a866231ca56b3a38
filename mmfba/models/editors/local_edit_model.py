# Copyright (c) mmfba authors.
from typing import Any, Callable, Dict, List, Optional

from mmagic.models.base_models import BaseEditModel
from mmagic.registry import MODELS as MMAGIC_MODELS
from torch import Tensor, nn

from mmfba.registry import MODELS

from ..auxiliary import MainModel
from ..blocks import image_tail
from ..image_wise import (
    ImageWisePixelLoss,
    check_image_wise_pixels,
    check_no_batch_norm,
)
from ..local_model import LocalModel
from ..options import LocalLearningOptions

DEFAULT_AUXILIARY = dict(
    type='mmfba.FBAAuxiliary',
    neck=dict(type='mmfba.SLMNeck', fusion='add'),
    head=dict(type='mmfba.SRHead', mode='slim'),
)


@MODELS.register_module()
class LocalEditModel(LocalModel, BaseEditModel):
    """A super-resolution model of mmagic trained by local learning.

    Takes the place of ``BaseEditModel`` with a generator that has a chain:
    EDSRNet and MSRResNet.

    Args:
        generator (dict): Config of the network.
        pixel_loss (dict): Config of the loss.
        local_learning (dict): See
            :class:`mmfba.models.LocalLearningOptions`. By default the bank
            holds the first conv's map (S1); ``taps=['input']`` is the
            low-resolution image (S2).
        **kwargs: Of the plain model.

    Examples:
        >>> model = dict(
        >>>     type='mmfba.LocalEditModel',
        >>>     local_learning=dict(num_modules=4))
    """

    def __init__(
        self,
        generator: Dict[str, Any],
        pixel_loss: Dict[str, Any],
        local_learning: Optional[Dict[str, Any]] = None,
        **kwargs,
    ) -> None:
        super().__init__(generator, pixel_loss, **kwargs)
        self.init_local_learning(
            LocalLearningOptions.from_config(
                local_learning or {}, DEFAULT_AUXILIARY
            )
        )

    def main_model(self) -> MainModel:
        net, network = self.generator, self.cut_network()
        return MainModel(
            **network,
            outputs_read=network['outputs'],
            registry=MMAGIC_MODELS,
            neck=None,
            head={},
            head_module=self.pixel_loss,
            tail=image_tail(net, net.upscale_factor, net.out_channels),
        )

    def default_taps(self, main: MainModel, cuts: List[str]) -> List[str]:
        return ['stem']

    @property
    def local_backbone(self) -> nn.Module:
        """nn.Module: What is cut into local modules."""
        return self.generator

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
        return self.local_loss(inputs, data_samples)

    def main_loss(self, output: Tensor, data_samples: Any) -> Dict[str, Any]:
        return dict(loss=self.pixel_loss(output, data_samples.gt_img))

    def image_wise_loss(
        self, data_samples: Any
    ) -> Callable[[Any, slice], Dict[str, Any]]:
        return ImageWisePixelLoss(self.pixel_loss, data_samples.gt_img)

    def check_image_wise(self) -> None:
        check_image_wise_pixels(self.pixel_loss)
        check_no_batch_norm(self.generator)
