# Copyright (c) mmfba authors.
from abc import abstractmethod
from typing import Any, Dict, List, Optional, Tuple

import numpy as np
from mmengine import dist
from mmengine.fileio import join_path
from mmpretrain.datasets import BaseDataset
from mmpretrain.datasets.utils import check_integrity


class DownloadedDataset(BaseDataset):
    """A dataset of a few large files, downloaded where they are missing.

    Args:
        data_root (str): Folder of the files.
        split (str): ``'train'`` or ``'test'``. Defaults to ``'train'``.
        metainfo (dict, optional): See mmpretrain's ``BaseDataset``. Defaults
            to None.
        download (bool): Whether missing files are downloaded. Defaults to
            True.
        **kwargs: Of ``BaseDataset``.

    Raises:
        ValueError: If there is no such split.
        FileNotFoundError: If a file is missing or damaged and cannot be
            downloaded; it names folder and URL.
    """

    url: str
    """Where the files are."""
    files: Dict[str, List[Tuple[str, str]]]
    """Path in ``data_root`` and md5 of the files of each split."""

    def __init__(
        self,
        data_root: str,
        split: str = 'train',
        metainfo: Optional[Dict[str, Any]] = None,
        download: bool = True,
        **kwargs,
    ) -> None:
        if split not in self.files:
            raise ValueError(
                f'{type(self).__name__}: split={split!r}: choose from '
                f'{list(self.files)}'
            )
        self.split = split
        self.download = download
        super().__init__(
            ann_file='',
            metainfo=metainfo,
            data_root=data_root,
            data_prefix=dict(root=''),
            **kwargs,
        )

    def load_data_list(self) -> List[Dict[str, Any]]:
        """Read all images.

        Returns:
            list[dict]: ``img``, RGB (H, W, 3) uint8, and ``gt_label``.
        """
        self._provide()
        images, labels = self.read()
        return [
            dict(img=image, gt_label=int(label))
            for image, label in zip(images, labels)
        ]

    @abstractmethod
    def read(self) -> Tuple[np.ndarray, np.ndarray]:
        """Images (N, H, W, 3), RGB, and labels (N, ) of the split."""

    @abstractmethod
    def fetch(self) -> None:
        """Download the files of the split."""

    def path(self, name: str) -> str:
        """Where a file is."""
        return join_path(self.data_prefix['root'], name)

    def extra_repr(self) -> List[str]:
        """The folder, for ``print``."""
        return [f'Folder: \t{self.data_prefix["root"]}']

    def _provide(self) -> None:
        problem = 'download=False'
        if self.download and dist.is_main_process() and self._missing():
            try:
                self.fetch()
            except (OSError, RuntimeError) as error:
                problem = f'downloading failed: {error}'
        dist.barrier()
        missing = self._missing()
        if missing:
            raise FileNotFoundError(
                f'{type(self).__name__}: {missing} missing or damaged in '
                f'{self.data_prefix["root"]!r} ({problem}): get them from '
                f'{self.url}'
            )

    def _missing(self) -> List[str]:
        return [
            name
            for name, md5 in self.files[self.split]
            if not check_integrity(self.path(name), md5)
        ]
