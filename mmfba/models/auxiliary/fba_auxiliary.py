# Copyright (c) mmfba authors.
from typing import Any, Dict, Mapping, Tuple

from torch import Tensor, nn

from mmfba.local import FeatureBank, ImageWise
from mmfba.registry import MODELS
from mmfba.type_name import type_name

from ..dense_loss import dense_loss, targets_of
from ..image_wise import check_image_wise_head
from .auxiliary_network import AuxiliaryNetwork
from .heads import SRHead
from .unit_spec import UnitSpec


@MODELS.register_module()
class FBAAuxiliary(AuxiliaryNetwork):
    r"""Feature Bank Augmented auxiliary network.

    .. math::
        f_{A_i}(x) = \mathrm{Head}_{task}\big(\mathrm{Simplify}(b_i(x))
        \oplus F_{bank}^{(i)}\big)

    Eq. 3 of `Advancing Supervised Local Learning Beyond Classification with
    Long-term Feature Bank <https://arxiv.org/abs/2406.00446>`_ (S1). The neck
    simplifies and fuses, the head's own ``loss()`` is the local loss.

    Args:
        spec (UnitSpec): The cut.
        neck (dict): Config of the auxiliary neck, such as an SLM neck, see
            :class:`AuxiliaryNeck`.
        head (dict): Config of the auxiliary head.
    """

    def __init__(
        self,
        spec: UnitSpec,
        neck: Dict[str, Any],
        head: Dict[str, Any],
    ) -> None:
        super().__init__()
        self.neck = MODELS.build(neck, default_args=dict(spec=spec))
        made = dict(spec=spec, in_channels=self.neck.out_channels)
        if self.neck.predicted_levels is not None:
            made['levels'] = self.neck.predicted_levels
        if self.neck.strides is not None:
            made['strides'] = self.neck.strides
        cfg, head = head, MODELS.build(head, default_args=made)
        self._head_words = _head_words(cfg, head)
        # In a tuple the main head is no submodule: it stays the main model's.
        self._shared = (head,) if head is spec.main.head_module else ()
        self._targets = targets_of(
            head, spec.main.anchor_targets, spec.main.point_targets
        )
        if not self._shared:
            self.head = head

    @property
    def reads(self) -> Tuple[str, ...]:
        return (*self.neck.reads, *getattr(self._task_head, 'reads', ()))

    @property
    def parts(self) -> Dict[str, str]:
        slm = getattr(self.neck, 'slm', None)
        return dict(
            slm='none' if slm is None else slm.words, head=self._head_words
        )

    @property
    def shared_modules(self) -> Tuple[nn.Module, ...]:
        if not self._shared:
            return getattr(self.head, 'shared_modules', ())
        return self._shared

    @property
    def _task_head(self) -> nn.Module:
        return self._shared[0] if self._shared else self.head

    def loss(
        self, x: Tensor, bank: FeatureBank, data_samples: Any
    ) -> Dict[str, Any]:
        features, head = self.neck(x, bank), self._task_head
        if isinstance(head, SRHead):
            return head.loss(features, data_samples, bank)
        loss = dense_loss(head, self._targets, data_samples)
        return loss(features, slice(0, len(data_samples)))

    def image_wise(
        self, x: Tensor, bank: FeatureBank, data_samples: Any
    ) -> ImageWise:
        features, head = self.neck.collect(x, bank), self._task_head
        if isinstance(head, SRHead):
            return head.image_wise(features, data_samples, bank)
        loss = dense_loss(head, self._targets, data_samples)
        return ImageWise(
            features,
            lambda pieces, rows: loss(self.neck.finish(pieces), rows),
        )

    def check_image_wise(self) -> None:
        if isinstance(self._task_head, SRHead):
            return  # its tail and loss are the main network's
        check_image_wise_head(self._task_head)
        self.neck.check_image_wise()


def _head_words(cfg: Mapping[str, Any], head: nn.Module) -> str:
    kind = type_name(cfg['type']).rpartition('.')[2]
    modes = kind in ('TaskHead', 'SRHead')
    words = cfg.get('mode', 'slim') if modes else kind
    convs = getattr(head, 'stacked_convs', len(getattr(head, 'convs', ())))
    if not convs or words == 'shared':
        return words
    return f'{words}, {convs} conv{"s" if convs > 1 else ""}'
