# Copyright (c) mmfba authors.
import copy
from typing import Any, Callable, ContextManager, Dict, List, Optional, Union

from mmdet.models.detectors import SingleStageDetector
from mmdet.registry import MODELS as MMDET_MODELS
from torch import Tensor, nn

from mmfba.registry import MODELS

from ..auxiliary import MainModel
from ..image_wise import (
    ImageWiseHeadLoss,
    check_image_wise_head,
    check_no_batch_norm,
)
from ..local_model import LocalModel
from ..neck_probe import is_fpn, probe_neck
from ..options import LocalLearningOptions
from ..shared_assigner import assigned_once

HEAD = dict(type='mmfba.TaskHead', mode='slim')
FPN_AUXILIARY = dict(
    type='mmfba.FBAAuxiliary', neck=dict(type='mmfba.BankFPN'), head=HEAD
)
OTHER_NECKS_AUXILIARY = dict(FPN_AUXILIARY, neck=dict(type='mmfba.SLMFPN'))
NO_NECK_AUXILIARY = dict(
    FPN_AUXILIARY,
    neck=dict(type='mmfba.SLMNeck', channel_ratio=0.5),
    head=dict(HEAD, stacked_convs=1),
)


@MODELS.register_module()
class LocalSingleStageDetector(LocalModel, SingleStageDetector):
    """A single-stage detector of mmdet trained by local learning.

    Takes the place of RetinaNet, FCOS and every other
    ``SingleStageDetector`` whose backbone has a chain. The auxiliary networks
    are a local FPN of the bank where the neck is an FPN, an SLM and a copy of
    the neck where it is another one. Without a neck, as YOLOv1, they have
    none either: the SLM leads to the head.

    Args:
        backbone (dict): Config of the backbone.
        neck (dict | list[dict], optional): Config of the neck. Defaults to
            None.
        bbox_head (dict, optional): Config of the head. Defaults to None.
        local_learning (dict): See
            :class:`mmfba.models.LocalLearningOptions`. By default the bank
            holds the outputs that the neck reads; without a neck, the end
            of each stage.
        **kwargs: Of the plain detector.

    Examples:
        >>> model = dict(
        >>>     type='mmfba.LocalSingleStageDetector',
        >>>     local_learning=dict(num_modules=4))
    """

    def __init__(
        self,
        backbone: Dict[str, Any],
        neck: Union[Dict[str, Any], List[Dict[str, Any]], None] = None,
        bbox_head: Optional[Dict[str, Any]] = None,
        local_learning: Optional[Dict[str, Any]] = None,
        **kwargs,
    ) -> None:
        super().__init__(backbone, neck, bbox_head, **kwargs)
        self._head_cfgs = copy.deepcopy((neck, bbox_head))
        self.init_local_learning(
            LocalLearningOptions.from_config(
                local_learning or {}, _default_auxiliary(neck)
            )
        )

    def main_model(self) -> MainModel:
        network = self.cut_network()
        probe = probe_neck(getattr(self, 'neck', None), self.output_shapes())
        outputs = tuple(
            name if read else None
            for name, read in zip(network['outputs'], probe.read)
        )
        return MainModel(
            **network,
            outputs_read=outputs,
            registry=MMDET_MODELS,
            neck=self._head_cfgs[0],
            head=self._head_cfgs[1],
            head_module=self.bbox_head,
            head_inputs=probe.returns,
        )

    def default_taps(self, main: MainModel, cuts: List[str]) -> List[str]:
        if self.with_neck:
            return [name for name in main.outputs_read if name is not None]
        ends = {unit.stage: unit.name for unit in self.make_chain().units}
        return [name for stage, name in ends.items() if stage > 0]

    @property
    def local_backbone(self) -> nn.Module:
        """nn.Module: What is cut into local modules."""
        return self.backbone

    def loss(
        self, batch_inputs: Tensor, batch_data_samples: List[Any]
    ) -> Dict[str, Any]:
        """Losses of one step; local backwards run inside.

        Args:
            batch_inputs (Tensor): Images (N, C, H, W).
            batch_data_samples (list[DetDataSample]): Their annotations.

        Returns:
            dict: Losses of the head and values of the local losses.
        """
        return self.local_loss(batch_inputs, batch_data_samples)

    def step_context(self) -> ContextManager:
        return assigned_once(self.bbox_head)

    def main_loss(
        self, features: tuple, data_samples: List[Any]
    ) -> Dict[str, Any]:
        return self.bbox_head.loss(self._pyramid(features), data_samples)

    def image_wise_loss(
        self, data_samples: List[Any]
    ) -> Callable[[Any, slice], Dict[str, Any]]:
        loss = ImageWiseHeadLoss(self.bbox_head, data_samples)
        return lambda features, rows: loss(self._pyramid(features), rows)

    def check_image_wise(self) -> None:
        check_image_wise_head(self.bbox_head)
        if self.with_neck:
            check_no_batch_norm(self.neck)

    def _pyramid(self, features: tuple) -> tuple:
        return self.neck(features) if self.with_neck else features


def _default_auxiliary(neck: Any) -> Dict[str, Any]:
    if not neck:
        return NO_NECK_AUXILIARY
    if is_fpn(neck):
        return FPN_AUXILIARY
    return OTHER_NECKS_AUXILIARY
