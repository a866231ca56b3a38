# Copyright (c) mmfba authors.
from contextlib import contextmanager, nullcontext
from typing import Any, Dict, Iterator, List, Optional
from unittest.mock import patch

from mmdet.models.detectors import SingleStageDetector
from mmdet.registry import MODELS as MMDET_MODELS
from torch import Tensor, nn

from mmfba.local import ImageWise
from mmfba.local.probe import Probe
from mmfba.type_name import definer

from ..anchor_loss import why_not
from ..anchor_targets import AnchorTargets
from ..anchor_targets import why_not as why_no_targets
from ..auxiliary import MainModel
from ..auxiliary.heads.task_head import accepts
from ..dense_loss import dense_loss
from ..image_wise import (
    check_image_wise_head,
    check_no_batch_norm,
)
from ..local_model import LocalModel
from ..neck_probe import is_fpn, probe_neck
from ..point_targets import PointTargets

HEADS = ('bbox_head', 'roi_head', 'mask_head', 'panoptic_head', 'rpn_head')
HEAD = dict(type='mmfba.TaskHead', mode='slim')
FPN_AUXILIARY = dict(
    type='mmfba.FBAAuxiliary', neck=dict(type='mmfba.BankFPN'), head=HEAD
)
OTHER_NECKS_AUXILIARY = dict(FPN_AUXILIARY, neck=dict(type='mmfba.SLMFPN'))
NO_NECK_AUXILIARY = dict(
    FPN_AUXILIARY,
    neck=dict(type='mmfba.SLMNeck', channel_ratio=0.5, fusion='add'),
    head=dict(HEAD, stacked_convs=1),
)
BOX_AUXILIARY = dict(
    type='mmfba.FBAAuxiliary',
    neck=dict(type='mmfba.LocalFPN'),
    head=dict(type='mmfba.BoxHead'),
)


class LocalDetection(LocalModel):
    """Local learning of a detector of mmdet.

    Where the head is a dense one, the auxiliary networks have a dense head
    on a local FPN, without an SLM, where the neck is an FPN; on SLM, bank and
    a copy of the neck where it is another one; on SLM and bank where there is
    none. It is a slim copy of the main head where that shares the main
    head's targets, as of RetinaNet, or where there is no neck; else it is
    ``BoxHead``, which runs an eighth to a third of a copy's operators. For all
    other main heads it is ``BoxHead`` on a local FPN of its own.
    """

    library = 'mmdet'

    def default_auxiliary(self) -> Dict[str, Any]:
        if not self._has_dense_head():
            return BOX_AUXILIARY
        neck = self.plain_configs.get('neck')
        if not neck:
            return NO_NECK_AUXILIARY
        default = FPN_AUXILIARY if is_fpn(neck) else OTHER_NECKS_AUXILIARY
        if why_no_targets(self.bbox_head):
            return dict(default, head=BOX_AUXILIARY['head'])
        return default

    def _has_dense_head(self) -> bool:
        """Whether all that is trained behind the neck is one dense head, of
        which copies can be made with other widths."""
        return (
            isinstance(self, SingleStageDetector)
            and bool(self.plain_configs.get('bbox_head'))
            and definer(self.bbox_head, 'loss') == 'mmdet.BaseDenseHead'
            and accepts(type(self.bbox_head), 'feat_channels')
        )

    def main_model(self, found: Probe) -> MainModel:
        network, configs = self.cut_network(), self.plain_configs
        neck = probe_neck(getattr(self, 'neck', None), self.output_shapes())
        self.anchor_targets = self._anchor_targets()
        self.point_targets = PointTargets()
        return MainModel(
            **network,
            outputs_read=tuple(
                name if read else None
                for name, read in zip(network['outputs'], neck.read)
            ),
            registry=MMDET_MODELS,
            neck=configs.get('neck'),
            head=self._head_config(),
            head_module=self._main_head(),
            head_inputs=neck.returns,
            anchor_targets=self.anchor_targets,
            point_targets=self.point_targets,
            neck_module=getattr(self, 'neck', None),
        )

    def _anchor_targets(self) -> Optional[AnchorTargets]:
        """What all heads with the main head's anchors are trained on."""
        head = getattr(self, 'bbox_head', None)
        reason = 'this detector has no dense head'
        if head is not None:
            reason = why_no_targets(head) or (
                self.options.fast_head and why_not(head)
            )
        if not reason:
            return AnchorTargets(
                head, [] if self.options.fast_head else [head]
            )
        if self.options.fast_head:
            raise ValueError(
                f'local_learning.fast_head=True: {reason}: leave it out'
            )
        if head is not None:
            self.remark = (
                "\nThe main head's targets are assigned by mmdet's own code, "
                f'in which Python waits for a GPU: {reason}.'
            )
        return None

    def _head_config(self) -> Dict[str, Any]:
        """As the detector builds it: with its train_cfg and test_cfg."""
        head = self.plain_configs.get('bbox_head')
        if not head:
            return {}
        both = ('train_cfg', 'test_cfg')
        extra = {key: self.plain_configs.get(key) for key in both}
        return {**extra, **head}

    def _main_head(self) -> nn.Module:
        for name in HEADS:
            if getattr(self, name, None) is not None:
                return getattr(self, name)
        return self

    def default_taps(self, main: MainModel, cuts: List[str]) -> List[str]:
        ends = {unit.stage: unit.name for unit in self.anatomy.units}
        stages = [name for stage, name in ends.items() if stage > 0]
        read = [name for name in main.outputs_read if name is not None]
        return list(dict.fromkeys(read)) if len(read) > 1 else stages

    def loss(
        self, batch_inputs: Tensor, batch_data_samples: List[Any]
    ) -> Dict[str, Any]:
        """Losses of one step and values of the local losses, see
        :meth:`local_loss`."""
        plain = super().loss
        return self.local_loss(plain, batch_inputs, batch_data_samples)

    @contextmanager
    def step_context(self, targets: List[Any]) -> Iterator[None]:
        found = self.anchor_targets
        # A hook may have changed the head.
        if found is None or why_no_targets(found.head):
            with self.point_targets.of_batch(targets):
                yield
            return
        head = found.head
        loss = dense_loss(head, found, targets)
        fast = nullcontext()
        if self.options.fast_head and not why_not(head):
            fast = patch.object(
                head,
                'loss',
                lambda x, samples: loss(x, slice(0, len(samples))),
            )
        points = self.point_targets.of_batch(targets)
        with found.of_batch(targets), points, fast:
            yield

    def image_wise(self, images: Tensor, samples: List[Any]) -> ImageWise:
        """The main loss, some images at a time from the neck on."""
        loss = dense_loss(self.bbox_head, self.anchor_targets, samples)
        neck = self.neck if self.with_neck else tuple
        outputs = zip(self.backbone(images), self.outputs_read)
        return ImageWise(
            tuple(out if read else None for out, read in outputs),
            lambda features, rows: loss(neck(features), rows),
        )

    def _is_plain_single_stage(self) -> bool:
        """Whether neck and head are all that follows the backbone."""
        plain = super().loss.__func__, type(self).extract_feat
        stock = SingleStageDetector.loss, SingleStageDetector.extract_feat
        return plain == stock

    def check_image_wise(self) -> None:
        if not self._is_plain_single_stage():
            super().check_image_wise()
        check_image_wise_head(self.bbox_head)
        if self.with_neck:
            check_no_batch_norm(self.neck)
