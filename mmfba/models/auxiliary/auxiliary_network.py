# Copyright (c) mmfba authors.
from abc import abstractmethod
from typing import Any, Dict, Iterable, Tuple

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

    @property
    def parts(self) -> Dict[str, str]:
        """dict[str, str]: In words, what it has as an SLM, ``slm``, and as a
        head, ``head``."""
        return dict(slm='none', head='own')

    @property
    def min_images(self) -> int:
        """int: The fewest images that :meth:`loss` can be computed of: batch
        normalisation of vectors needs two."""
        return 1 + any(isinstance(m, nn.BatchNorm1d) for m in self.modules())

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
        """Called once after each step of the optimizer, also where a gradient
        scaler has left it out."""

    def image_wise(
        self, x: Tensor, bank: FeatureBank, data_samples: Any
    ) -> ImageWise:
        """The same loss, split where nothing crosses images any more: the
        features there, and the loss of some images."""
        raise NotImplementedError

    def check_image_wise(self) -> None:
        """Refuse ``chunk`` where it would not be exact."""
        raise ValueError(
            f'local_learning.chunk: {type(self).__name__} has no image-wise '
            'loss: leave it out'
        )


def check_num_images(
    auxiliaries: Iterable[AuxiliaryNetwork], num_images: int
) -> None:
    """Refuse a batch of too few images for an auxiliary network."""
    for aux in auxiliaries:
        if num_images < aux.min_images:
            raise ValueError(
                f'a batch of {num_images} image: {type(aux).__name__} '
                'normalises vectors over the batch, which takes at least '
                f'{aux.min_images} images: set train_dataloader.drop_last='
                'True if it is what is left at the end of an epoch, or '
                'another train_dataloader.batch_size'
            )
