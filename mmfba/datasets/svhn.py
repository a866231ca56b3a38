# Copyright (c) mmfba authors.
from typing import Tuple

import numpy as np
from mmpretrain.datasets.utils import download_url
from scipy.io import loadmat

from mmfba.registry import DATASETS

from .downloaded_dataset import DownloadedDataset


@DATASETS.register_module()
class SVHN(DownloadedDataset):
    """`Street View House Numbers <http://ufldl.stanford.edu/housenumbers>`_,
    the cropped digits: 73,257 images for training and 26,032 for test, 32x32.

    Args:
        data_root (str): Folder of ``train_32x32.mat`` and
            ``test_32x32.mat``.
        **kwargs: See :class:`DownloadedDataset`.
    """

    METAINFO = dict(classes=tuple('0123456789'))
    url = 'http://ufldl.stanford.edu/housenumbers/'
    files = dict(
        train=[('train_32x32.mat', 'e26dedcc434d2e4c54c9b2d4a06d8373')],
        test=[('test_32x32.mat', 'eb5a983be6a315427106f1b164d9cef3')],
    )

    def fetch(self) -> None:
        ((name, md5),) = self.files[self.split]
        download_url(
            self.url + name, self.data_prefix['root'], filename=name, md5=md5
        )

    def read(self) -> Tuple[np.ndarray, np.ndarray]:
        ((name, _),) = self.files[self.split]
        content = loadmat(self.path(name))
        # X is (32, 32, 3, N); the digit 0 has the label 10.
        return content['X'].transpose(3, 0, 1, 2), content['y'].ravel() % 10
