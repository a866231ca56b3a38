# Copyright (c) mmfba authors.
from typing import Any, Dict, Optional, Tuple

from mmengine.model import BaseModule
from torch import Tensor, nn

from mmfba.local import FeatureBank, ImageWise
from mmfba.registry import MODELS

from ...chains import SRChain, build_chain
from ...chains.sr_chain import copy_tail
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

    Raises:
        ValueError: If the main network's tail takes another width, or it
            has none.
    """

    def __init__(
        self, spec: UnitSpec, in_channels: int, mode: str = 'slim'
    ) -> None:
        super().__init__()
        if mode not in MODES:
            raise ValueError(
                f'auxiliary.head.mode={mode!r}: choose from {MODES}'
            )
        net, chain = spec.main.backbone, spec.main.chain
        if not isinstance(chain, SRChain):
            raise ValueError(
                'auxiliary.head.type=mmfba.SRHead restores an image, which '
                f'{type(net).__name__} does not: use mmfba.TaskHead'
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
        self.reads = chain.restore_reads
        self.mode = mode
        if mode == 'copy':
            self.tail = copy_tail(net, chain)
        elif mode == 'slim':
            self.tail = nn.Sequential(
                nn.Conv2d(
                    in_channels,
                    chain.out_channels * chain.scale**2,
                    3,
                    padding=1,
                ),
                nn.PixelShuffle(chain.scale),
            )

    @property
    def shared_modules(self) -> Tuple[nn.Module, ...]:
        """tuple[nn.Module]: The main network's tail in mode ``shared``."""
        if self.mode != 'shared':
            return ()
        names = build_chain(self._net[0]).tail_names
        return tuple(getattr(self._net[0], name) for name in names)

    def loss(
        self, features: Tuple[Tensor], data_samples: Any, bank: FeatureBank
    ) -> Dict[str, Tensor]:
        """Pixel loss of the image reconstructed from the auxiliary neck.

        Args:
            features (tuple[Tensor]): One feature, (N, C, H, W).
            data_samples (Any): Stacked samples with ``gt_img`` of shape
                (N, 3, scale * H, scale * W).
            bank (FeatureBank): This step's features.

        Returns:
            dict[str, Tensor]: The loss.
        """
        output = self._restore(features[-1], self._image(bank))
        return dict(loss=self._pixel_loss[0](output, data_samples.gt_img))

    def image_wise(
        self, features: Tuple[Tensor], data_samples: Any, bank: FeatureBank
    ) -> ImageWise:
        """The same for some images at a time.

        Args:
            features (tuple[Tensor]): See :meth:`loss`.
            data_samples (Any): See :meth:`loss`.
            bank (FeatureBank): See :meth:`loss`.

        Returns:
            ImageWise: The auxiliary neck's feature and the input image.
        """
        loss = ImageWisePixelLoss(self._pixel_loss[0], data_samples.gt_img)
        return ImageWise(
            (features[-1], self._image(bank)),
            lambda pieces, rows: loss(self._restore(*pieces), rows),
        )

    def _image(self, bank: FeatureBank) -> Optional[Tensor]:
        return bank.get(self.reads[0]) if self.reads else None

    def _restore(self, feature: Tensor, image: Optional[Tensor]) -> Tensor:
        chain: SRChain = build_chain(self._net[0])
        if self.mode == 'slim':
            residual = self.tail(feature)
        else:
            tail = self.tail if self.mode == 'copy' else self._net[0]
            residual = chain.tail(tail, feature)
        return chain.restore(residual, image)
