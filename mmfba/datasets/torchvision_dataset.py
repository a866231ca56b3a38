# Copyright (c) mmfba authors.
from typing import Any, Dict, List

from mmengine.dist import barrier, is_main_process
from mmpretrain.datasets import BaseDataset
from torchvision import datasets

from mmfba.models.choices import check_choice
from mmfba.registry import DATASETS


class TorchvisionDataset(BaseDataset):
    """A dataset that torchvision reads, and downloads where it is missing.

    Args:
        data_root (str): Folder of the files.
        split (str): ``'train'`` or ``'test'``. Defaults to ``'train'``.
        download (bool): Whether missing files are downloaded. Defaults to
            True.
        **kwargs: Of mmpretrain's ``BaseDataset``.

    Raises:
        FileNotFoundError: If a file is missing or damaged and cannot be
            downloaded; it names folder and URL.
    """

    source: type
    """The class of torchvision."""

    def __init__(
        self,
        data_root: str,
        split: str = 'train',
        download: bool = True,
        **kwargs,
    ) -> None:
        name = type(self).__name__
        check_choice(f'{name}: split', split, ('train', 'test'))
        self.split, self.download = split, download
        super().__init__(
            ann_file='',
            data_root=data_root,
            data_prefix=dict(root=''),
            **kwargs,
        )

    def load_data_list(self) -> List[Dict[str, Any]]:
        """``img``, RGB (H, W, 3) uint8, and ``gt_label`` of all images."""
        first = is_main_process()
        if not first:
            barrier()
        try:
            found = self._read(self.download and first)
        finally:
            if first:
                barrier()
        images = found.data.transpose(0, 2, 3, 1)
        return [
            dict(img=image, gt_label=int(label))
            for image, label in zip(images, found.labels)
        ]

    def extra_repr(self) -> List[str]:
        """The folder, for ``print``."""
        return [f'Folder: \t{self.data_prefix["root"]}']

    def _read(self, download: bool) -> Any:
        root = self.data_prefix['root']
        try:
            return self.source(root, self.split, download=download)
        except (OSError, RuntimeError) as error:
            raise FileNotFoundError(
                f'{type(self).__name__}: the files in {root!r} are missing or '
                f'damaged ({download=}: {error}): get them from '
                f'{self.url}'
            ) from error


@DATASETS.register_module()
class SVHN(TorchvisionDataset):
    """`Street View House Numbers <http://ufldl.stanford.edu/housenumbers>`_,
    the cropped digits: 73,257 images for training and 26,032 for test, 32x32.

    Args:
        **kwargs: See :class:`TorchvisionDataset`.
    """

    METAINFO = dict(classes=tuple('0123456789'))
    source = datasets.SVHN
    url = 'http://ufldl.stanford.edu/housenumbers/'


class LabelledSTL10(datasets.STL10):
    """Torchvision's, which needs the images without labels in all splits."""

    train_list = datasets.STL10.train_list[:2]


@DATASETS.register_module()
class STL10(TorchvisionDataset):
    """`STL-10 <https://cs.stanford.edu/~acoates/stl10>`_, the labelled part:
    5,000 images for training and 8,000 for test, 96x96.

    Args:
        **kwargs: See :class:`TorchvisionDataset`.
    """

    METAINFO = dict(
        classes=tuple(
            'airplane bird car cat deer dog horse monkey ship truck'.split()
        )
    )
    source = LabelledSTL10
    url = datasets.STL10.url
