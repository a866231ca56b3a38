# Copyright (c) mmfba authors.
import copy
from typing import Any, Dict, Optional, Tuple

from mmengine.model import BaseModule
from torch import Tensor, nn

from mmfba.local import INPUT, FeatureBank, ImageWise
from mmfba.registry import MODELS

from ...choices import check_choice
from ...image_wise import ImageWisePixelLoss
from ..unit_spec import UnitSpec
from .task_head import MODES


@MODELS.register_module()
class SRHead(BaseModule):
    r"""Auxiliary head of super-resolution: a tail and the pixel loss.

    .. math::
        f_{A_i}(\cdot) = \mathrm{SRHead}(b_i(\cdot), F_{bank})

    Eq. 6 of `FBA <https://arxiv.org/abs/2406.00446>`_ (S1).

    Args:
        spec (UnitSpec): The cut.
        in_channels (int): Channels of what the auxiliary neck returns.
        mode (str): ``'shared'``: the main network's tail, by weights;
            ``'copy'``: the same tail with weights of its own; ``'slim'``: one
            conv and a pixel shuffle. Defaults to ``'slim'``.
    """

    def __init__(
        self, spec: UnitSpec, in_channels: int, mode: str = 'slim'
    ) -> None:
        super().__init__()
        check_choice('auxiliary.head.mode', mode, MODES)
        net, tail = spec.main.backbone, spec.main.tail
        if tail is None:
            raise ValueError(
                'auxiliary.head.type=mmfba.SRHead restores an image, which '
                f'{type(net).__name__} does not: use mmfba.TaskHead'
            )
        if mode != 'slim' and tail.run is None:
            raise ValueError(
                f'auxiliary.head.mode={mode!r}: it is not known which modules '
                f"of {type(net).__name__} are its tail: set mode='slim'"
            )
        width = spec.stage_ends[1].channels
        if mode != 'slim' and in_channels != width:
            raise ValueError(
                f'auxiliary.head.mode={mode!r}: the tail takes {width} '
                f'channels, the auxiliary neck returns {in_channels}: set '
                "auxiliary.neck.channel_ratio=1.0 or mode='slim'"
            )
        # In a tuple they are no submodules: they stay the main model's.
        self._net = (net,)
        self._pixel_loss = (spec.main.head_module,)
        self.reads = (INPUT,) if tail.reads_input else ()
        self.mode, self._tail = mode, tail
        if mode == 'copy':
            parts = {name: getattr(net, name) for name in tail.names}
            self.tail = nn.ModuleDict(copy.deepcopy(parts))
        elif mode == 'slim':
            scale = tail.scale * spec.cut.stride
            width = tail.out_channels * scale**2
            self.tail = nn.Sequential(
                nn.Conv2d(in_channels, width, 3, padding=1),
                nn.PixelShuffle(scale),
            )

    @property
    def shared_modules(self) -> Tuple[nn.Module, ...]:
        """tuple[nn.Module]: The main network's tail in mode ``shared``."""
        if self.mode != 'shared':
            return ()
        return tuple(getattr(self._net[0], n) for n in self._tail.names)

    def loss(
        self, features: Tuple[Tensor], data_samples: Any, bank: FeatureBank
    ) -> Dict[str, Tensor]:
        """Pixel loss, against ``gt_img``, of the image reconstructed from the
        auxiliary neck's feature (N, C, H, W)."""
        output = self._restore(features[-1], self._image(bank))
        return dict(loss=self._pixel_loss[0](output, data_samples.gt_img))

    def image_wise(
        self, features: Tuple[Tensor], data_samples: Any, bank: FeatureBank
    ) -> ImageWise:
        """The same for some images at a time."""
        loss = ImageWisePixelLoss(self._pixel_loss[0], data_samples.gt_img)
        return ImageWise(
            (features[-1], self._image(bank)),
            lambda pieces, rows: loss(self._restore(*pieces), rows),
        )

    def _image(self, bank: FeatureBank) -> Optional[Tensor]:
        return bank.get(self.reads[0]) if self.reads else None

    def _restore(self, feature: Tensor, image: Optional[Tensor]) -> Tensor:
        (net,) = self._net
        if self.mode == 'slim':
            residual = self.tail(feature)
        else:
            tail = self.tail if self.mode == 'copy' else net
            residual = self._tail.run(tail, feature)
        return self._tail.restore(net, residual, image)
