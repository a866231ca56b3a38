# Copyright (c) mmfba authors.
from typing import Optional, Sequence, Tuple, Union

from mmengine.model import BaseModule
from torch import Tensor

from mmfba.local import FeatureBank

Features = Tuple[Optional[Tensor], ...]


class AuxiliaryNeck(BaseModule):
    """What :class:`FBAAuxiliary` asks of its neck.

    A subclass takes the :class:`UnitSpec` of its cut as ``spec``, sets
    ``out_channels``, and says by :meth:`collect` what it makes of the feature
    at the cut.

    Attributes:
        out_channels (int): Channels of what it returns, for the head.
        reads (tuple[str]): Names of the bank entries that it reads.
        predicted_levels (slice, optional): The levels of the main network's
            neck that it makes; None for all.
        strides (tuple[int], optional): Stride of each level, where they are
            levels of its own; None for those of the main network's neck.
    """

    out_channels: Union[int, Sequence[int]]
    reads: Tuple[str, ...] = ()
    predicted_levels: Optional[slice] = None
    strides: Optional[Tuple[int, ...]] = None

    def forward(self, x: Tensor, bank: FeatureBank) -> Features:
        """Features for the auxiliary head, as the main network's neck returns
        them, of the feature at the cut (N, C, H, W) and this step's bank."""
        return self.finish(self.collect(x, bank))

    def collect(self, x: Tensor, bank: FeatureBank) -> Features:
        """What is computed of the whole batch at once."""
        raise NotImplementedError

    def finish(self, features: Features) -> Features:
        """The rest, which can be computed for some images at a time: of what
        :meth:`collect` returned, or of some images of it."""
        return features

    def check_image_wise(self) -> None:
        """Refuse ``local_learning.chunk`` if :meth:`finish` is not exact."""
