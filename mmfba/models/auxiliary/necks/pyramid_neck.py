# Copyright (c) mmfba authors.
from typing import Any, Optional, Sequence, Tuple

from torch import Tensor, nn

from mmfba.type_name import type_name

from ...image_wise import check_no_batch_norm
from ..unit_spec import UnitSpec
from .auxiliary_neck import AuxiliaryNeck, Features


class PyramidNeck(AuxiliaryNeck):
    """Auxiliary neck of detection: a copy of the main network's neck.

    A subclass says by :meth:`collect` what the copy reads, and sets ``neck``
    to what :meth:`copy_main_neck` returns.

    Args:
        spec (UnitSpec): The cut.
        out_channels (int, optional): Channels of the pyramid. Defaults to
            None, an eighth of the main network's neck, but at least 32.
        init_cfg (dict, optional): Initialization config. Defaults to None.

    Raises:
        ValueError: If the main network has no neck of a detector.
    """

    neck: nn.Module

    def __init__(
        self, spec: UnitSpec, out_channels: Optional[int], init_cfg=None
    ) -> None:
        super().__init__(init_cfg)
        main = self.main_neck = dict(spec.main.neck or {})
        if 'in_channels' not in main:
            raise ValueError(
                'auxiliary.neck.type: this auxiliary neck copies the neck of '
                f'a detector, the neck of the main network is '
                f'{type_name(main.get("type"))}: choose another auxiliary.neck'
            )
        width = main['out_channels']
        self.out_channels = out_channels or min(width, max(32, width // 8))

    @property
    def main_is_fpn(self) -> bool:
        """bool: Whether the main network's neck is an FPN."""
        return type_name(self.main_neck['type']) == 'FPN'

    def copy_main_neck(
        self, spec: UnitSpec, channels: Sequence[int], **options: Any
    ) -> nn.Module:
        """The same neck at other widths.

        Args:
            spec (UnitSpec): The cut.
            channels (Sequence[int]): Channels of each level that it is given.
            **options: Of the neck, that are to differ.
        """
        several = isinstance(self.main_neck['in_channels'], (list, tuple))
        cfg = dict(
            self.main_neck,
            in_channels=list(channels) if several else channels[-1],
            out_channels=self.out_channels,
        )
        return spec.main.registry.build({**cfg, **options})

    def finish(self, features: Features) -> Tuple[Tensor, ...]:
        """The local pyramid.

        Args:
            features (tuple[Tensor, optional]): A map for each level of the
                backbone, None where the neck does not read it.

        Returns:
            tuple[Tensor]: Maps (N, out_channels, h, w) of the levels that
            the main network's neck returns, or of ``predicted_levels``.
        """
        return tuple(self.neck(features))

    def check_image_wise(self) -> None:
        check_no_batch_norm(self.neck)
