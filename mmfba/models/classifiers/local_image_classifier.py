# Copyright (c) mmfba authors.
import copy
from typing import Any, Dict, List, Optional, Union

from mmpretrain.models.classifiers import ImageClassifier
from mmpretrain.registry import MODELS as MMPRETRAIN_MODELS
from torch import Tensor, nn

from mmfba.local import POOLED
from mmfba.registry import MODELS

from ..auxiliary import MainModel
from ..local_model import LocalModel
from ..neck_probe import probe_neck
from ..options import LocalLearningOptions

DEFAULT_AUXILIARY = dict(
    type='mmfba.FBAAuxiliary',
    neck=dict(type='mmfba.SLMNeck', mode='later_stages', fusion='none'),
    head=dict(type='mmfba.TaskHead', mode='copy'),
)


@MODELS.register_module()
class LocalImageClassifier(LocalModel, ImageClassifier):
    """An image classifier of mmpretrain trained by local learning.

    Args:
        backbone (dict | nn.Module): The backbone or its config.
        neck (dict | list[dict], optional): Config of the neck. Defaults to
            None.
        head (dict, optional): Config of the head. Defaults to None.
        local_learning (dict): See
            :class:`mmfba.models.LocalLearningOptions`. By default the bank
            holds the pooled features of the cuts, ``fusion='none'`` leaves
            it unread, and the SLM has ``mode='later_stages'``.
        **kwargs: Of the plain classifier.

    Examples:
        >>> model = dict(
        >>>     type='mmfba.LocalImageClassifier',
        >>>     local_learning=dict(num_modules=16))
    """

    def __init__(
        self,
        backbone: Dict[str, Any],
        neck: Union[Dict[str, Any], List[Dict[str, Any]], None] = None,
        head: Optional[Dict[str, Any]] = None,
        local_learning: Optional[Dict[str, Any]] = None,
        **kwargs,
    ) -> None:
        super().__init__(backbone, neck, head, **kwargs)
        options = LocalLearningOptions.from_config(
            local_learning or {}, DEFAULT_AUXILIARY
        )
        if options.num_modules != 1:
            _check_configs(neck=neck, head=head)
        self._head_cfgs = copy.deepcopy((neck, head))
        self.init_local_learning(options)

    def main_model(self) -> MainModel:
        network = self.cut_network()
        return MainModel(
            **network,
            outputs_read=network['outputs'],
            registry=MMPRETRAIN_MODELS,
            neck=self._head_cfgs[0],
            head=self._head_cfgs[1],
            head_module=self.head,
            data_preprocessor=self.data_preprocessor,
            head_inputs=probe_neck(self.neck, self.output_shapes()).returns,
        )

    def default_taps(self, main: MainModel, cuts: List[str]) -> List[str]:
        return [cut + POOLED for cut in cuts]

    @property
    def local_backbone(self) -> nn.Module:
        """nn.Module: What is cut into local modules."""
        return self.backbone

    def loss(self, inputs: Tensor, data_samples: List[Any]) -> Dict[str, Any]:
        """Losses of one step; local backwards run inside.

        Args:
            inputs (Tensor): Images (N, C, H, W).
            data_samples (list[DataSample]): Their labels.

        Returns:
            dict: Losses of the head and values of the local losses.
        """
        return self.local_loss(inputs, data_samples)

    def main_loss(
        self, features: tuple, data_samples: List[Any]
    ) -> Dict[str, Any]:
        if self.with_neck:
            features = self.neck(features)
        return self.head.loss(features, data_samples)


def _check_configs(**parts: Any) -> None:
    for key, part in parts.items():
        if isinstance(part, nn.Module):
            raise ValueError(
                f'model.{key} is a {type(part).__name__} that has been built, '
                'and auxiliary networks are built like it, from its config: '
                'write it as a dict; the backbone alone may be a module'
            )
