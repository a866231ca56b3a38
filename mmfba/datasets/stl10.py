# Copyright (c) mmfba authors.
from typing import Tuple

import numpy as np
from mmpretrain.datasets.utils import download_and_extract_archive

from mmfba.registry import DATASETS

from .downloaded_dataset import DownloadedDataset


@DATASETS.register_module()
class STL10(DownloadedDataset):
    """`STL-10 <https://cs.stanford.edu/~acoates/stl10>`_, the labelled part:
    5,000 images for training and 8,000 for test, 96x96.

    Args:
        data_root (str): Folder that the archive is unpacked in, beside
            ``stl10_binary``.
        **kwargs: See :class:`DownloadedDataset`.
    """

    METAINFO = dict(
        classes=(
            'airplane',
            'bird',
            'car',
            'cat',
            'deer',
            'dog',
            'horse',
            'monkey',
            'ship',
            'truck',
        )
    )
    url = 'http://ai.stanford.edu/~acoates/stl10/stl10_binary.tar.gz'
    archive_md5 = '91f7769df0f17e558f3565bffb0c7dfb'
    files = dict(
        train=[
            ('stl10_binary/train_X.bin', '918c2871b30a85fa023e0c44e0bee87f'),
            ('stl10_binary/train_y.bin', '5a34089d4802c674881badbb80307741'),
        ],
        test=[
            ('stl10_binary/test_X.bin', '7f263ba9f9e0b06b93213547f721ac82'),
            ('stl10_binary/test_y.bin', '36f9794fa4beb8a2c72628de14fa638e'),
        ],
    )

    def fetch(self) -> None:
        download_and_extract_archive(
            self.url, self.data_prefix['root'], md5=self.archive_md5
        )

    def read(self) -> Tuple[np.ndarray, np.ndarray]:
        images, labels = (
            np.fromfile(self.path(name), dtype=np.uint8)
            for name, _ in self.files[self.split]
        )
        # Each channel is stored column by column; labels count from 1.
        images = images.reshape(-1, 3, 96, 96).transpose(0, 3, 2, 1)
        return images, labels - 1
