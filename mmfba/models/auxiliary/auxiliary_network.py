# Copyright (c) mmfba authors.
from abc import abstractmethod
from typing import Any, Dict, Tuple

from mmengine.model import BaseModule
from torch import Tensor, nn

from mmfba.local import FeatureBank, ImageWise


class AuxiliaryNetwork(BaseModule):
    """What stands at a cut in training and gives its module a loss.

    Subclasses are built with ``spec`` (:class:`UnitSpec`) beside their own
    config.
    """

    @property
    def reads(self) -> Tuple[str, ...]:
        """tuple[str]: Names of the bank entries that :meth:`loss` reads."""
        return ()

    @property
    def shared_modules(self) -> Tuple[nn.Module, ...]:
        """tuple[nn.Module]: Modules of the main model that are trained by
        this loss too."""
        return ()

    @abstractmethod
    def loss(
        self, x: Tensor, bank: FeatureBank, data_samples: Any
    ) -> Dict[str, Any]:
        """Local loss.

        Args:
            x (Tensor): The live feature at the cut, (N, C, H, W).
            bank (FeatureBank): This step's features.
            data_samples (Any): Targets as the main head's loss takes them.

        Returns:
            dict: Loss terms, under keys with the word "loss", and values
            that are only logged.
        """

    def after_step(self) -> None:
        """Called once after each step of the optimizer."""

    def image_wise(
        self, x: Tensor, bank: FeatureBank, data_samples: Any
    ) -> ImageWise:
        """The same loss, split where nothing crosses images any more.

        Args:
            x (Tensor): See :meth:`loss`.
            bank (FeatureBank): See :meth:`loss`.
            data_samples (Any): See :meth:`loss`.

        Returns:
            ImageWise: The features there, and the loss of some images.
        """
        raise NotImplementedError

    def check_image_wise(self) -> None:
        """Refuse ``chunk`` and ``micro_batches`` where not exact.

        Raises:
            ValueError: It names what sees the whole batch.
        """
        raise ValueError(
            f'local_learning.chunk or micro_batches: {type(self).__name__} '
            'has no image-wise loss: leave both out'
        )
