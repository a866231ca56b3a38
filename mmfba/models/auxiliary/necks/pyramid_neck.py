# Copyright (c) mmfba authors.
from dataclasses import replace
from typing import Any, Mapping, Optional, Sequence, Tuple

from torch import Tensor, nn

from ...image_wise import check_no_batch_norm
from ...neck_probe import neck_name
from ..unit_spec import UnitSpec
from .auxiliary_neck import AuxiliaryNeck, Features
from .neck_copy import copy_neck


class PyramidNeck(AuxiliaryNeck):
    """Auxiliary neck of detection: a copy of the main network's neck.

    A subclass says by :meth:`collect` what the copy reads, and sets ``neck``
    to what :meth:`copy_main_neck` returns.

    Args:
        spec (UnitSpec): The cut.
        out_channels (int, optional): Channels of the pyramid. Defaults to
            None, an eighth of the main network's neck, but at least 32. A
            neck without one such option is copied as a whole.
        init_cfg (dict, optional): Initialization config. Defaults to None.

    Raises:
        ValueError: If the main network has no neck of a detector.
    """

    neck: nn.Module

    def __init__(
        self, spec: UnitSpec, out_channels: Optional[int], init_cfg=None
    ) -> None:
        super().__init__(init_cfg)
        main = self.main_neck = spec.main.neck
        maps = spec.main.head_inputs or ()
        if not main or any(len(shape) != 4 for shape in maps):
            raise ValueError(
                'auxiliary.neck.type: this auxiliary neck copies the neck of '
                f'a detector, the neck of the main network is '
                f'{neck_name(main)}: choose another auxiliary.neck'
            )
        if not maps:
            raise ValueError(
                f'auxiliary.neck.type: {neck_name(main)} cannot run without '
                'data, where its widths are found: train by back-propagation '
                'with local_learning.num_modules=1'
            )
        self._out_channels = out_channels
        width = maps[0][1]
        self.out_channels = out_channels or min(width, max(32, width // 8))

    def copy_main_neck(
        self, spec: UnitSpec, channels: Sequence[int], **options: Any
    ) -> nn.Module:
        """The same neck at other widths.

        A neck without ``in_channels`` and one ``out_channels``, as a list of
        necks, is copied as a whole, see :func:`copy_neck`.

        Args:
            spec (UnitSpec): The cut.
            channels (Sequence[int]): Channels of each level that it is given.
            **options: Of the neck, that are to differ.
        """
        main = self.main_neck
        if (
            isinstance(main, Mapping)
            and 'in_channels' in main
            and isinstance(main.get('out_channels'), int)
        ):
            several = isinstance(main['in_channels'], (list, tuple))
            cfg = dict(
                main,
                in_channels=list(channels) if several else channels[-1],
                out_channels=self.out_channels,
            )
            return spec.main.registry.build({**cfg, **options})
        taken = [n and spec.features[n] for n in spec.main.outputs_read]
        given = [t and replace(t, channels=c) for t, c in zip(taken, channels)]
        neck, maps = copy_neck(spec, given, taken)
        widths = [shape[1] for shape in maps]
        self.out_channels = widths[0] if len(set(widths)) == 1 else widths
        if self._out_channels not in (None, self.out_channels):
            raise ValueError(
                f'auxiliary.neck.out_channels={self._out_channels}: '
                f'{neck_name(main)} is copied as a whole and returns '
                f'{self.out_channels} channels: leave out_channels out'
            )
        return neck

    def finish(self, features: Features) -> Tuple[Tensor, ...]:
        """The local pyramid: maps (N, out_channels, h, w) of the levels that
        the main network's neck returns, or of ``predicted_levels``."""
        return tuple(self.neck(features))

    def check_image_wise(self) -> None:
        check_no_batch_norm(self.neck)
