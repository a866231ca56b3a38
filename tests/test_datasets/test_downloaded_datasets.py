# Copyright (c) mmfba authors.
"""SVHN and STL-10, read from tiny files in the true formats."""

import hashlib
import tarfile
from urllib.error import URLError

import numpy as np
import pytest
from mmengine.config import Config
from mmpretrain.registry import DATASETS
from run_tool import ROOT
from scipy.io import savemat

from mmfba.datasets import STL10, SVHN
from mmfba.datasets import svhn as svhn_module

RNG = np.random.default_rng(0)
NUM = 12
SIZES = {SVHN: 32, STL10: 96}
IMAGES = {
    cls: RNG.integers(0, 256, (NUM, size, size, 3), dtype=np.uint8)
    for cls, size in SIZES.items()
}
LABELS = np.arange(NUM) % 10
both = pytest.mark.parametrize('cls', [SVHN, STL10])


def write(cls, root, split):
    """Files of ``split`` with the images and labels above."""
    images = IMAGES[cls]
    if cls is SVHN:
        labels = np.where(LABELS == 0, 10, LABELS).astype(np.uint8)
        savemat(
            root / f'{split}_32x32.mat',
            dict(X=images.transpose(1, 2, 3, 0), y=labels[:, None]),
            do_compression=True,
        )
        return
    folder = root / 'stl10_binary'
    folder.mkdir(exist_ok=True)
    # Image, channel, column, row.
    images.transpose(0, 3, 2, 1).tofile(folder / f'{split}_X.bin')
    (LABELS + 1).astype(np.uint8).tofile(folder / f'{split}_y.bin')


def believe(monkeypatch, cls, root):
    """Take the md5 of the written files for the official ones."""
    files = {
        split: [
            (name, hashlib.md5((root / name).read_bytes()).hexdigest())
            for name, _ in entries
            if (root / name).exists()
        ]
        for split, entries in cls.files.items()
    }
    monkeypatch.setattr(cls, 'files', files)


@both
@pytest.mark.parametrize('split', ['train', 'test'])
def test_reads_the_official_format(cls, split, tmp_path, monkeypatch):
    write(cls, tmp_path, split)
    believe(monkeypatch, cls, tmp_path)
    dataset = DATASETS.build(
        dict(type=f'mmfba.{cls.__name__}', data_root=tmp_path, split=split)
    )
    assert len(dataset) == NUM
    assert len(dataset.CLASSES) == 10
    for i in range(NUM):
        info = dataset.get_data_info(i)
        assert np.array_equal(info['img'], IMAGES[cls][i])
        assert info['gt_label'] == LABELS[i]
    assert str(tmp_path) in repr(dataset)


@both
def test_fragment_of_the_config(cls, tmp_path, monkeypatch):
    name, size = cls.__name__.lower(), SIZES[cls]
    cfg = Config.fromfile(ROOT / f'configs/_base_/datasets/{name}.py')
    for split, loader in (('train', 'train'), ('test', 'val')):
        write(cls, tmp_path, split)
        assert cfg[f'{loader}_dataloader'].dataset.split == split
    believe(monkeypatch, cls, tmp_path)
    for loader in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        part = dict(cfg[loader].dataset, data_root=str(tmp_path))
        sample = DATASETS.build(part)[0]
        assert sample['inputs'].shape == (3, size, size)


@both
def test_damaged_file_is_one_clear_message(cls, tmp_path, monkeypatch):
    write(cls, tmp_path, 'train')
    with pytest.raises(FileNotFoundError) as error:
        cls(tmp_path, split='train', download=False)
    message = str(error.value)
    assert all(name in message for name, _ in cls.files['train'])
    assert 'damaged' in message and 'download=False' in message
    assert str(tmp_path) in message and cls.url in message


@both
def test_missing_file_without_a_network(cls, tmp_path, monkeypatch):
    def no_network(*args, **kwargs):
        raise URLError('no route to host')

    monkeypatch.setattr('urllib.request.urlopen', no_network)
    with pytest.raises(FileNotFoundError) as error:
        cls(tmp_path, split='test')
    message = str(error.value)
    assert 'no route to host' in message
    assert str(tmp_path) in message and cls.url in message


def test_svhn_is_downloaded(tmp_path, monkeypatch):
    (tmp_path / 'server').mkdir()
    write(SVHN, tmp_path / 'server', 'test')
    believe(monkeypatch, SVHN, tmp_path / 'server')
    monkeypatch.setattr(SVHN, 'url', f'file://{tmp_path}/server/')
    assert len(SVHN(tmp_path / 'data', split='test')) == NUM
    # Once is enough.
    monkeypatch.setattr(svhn_module, 'download_url', pytest.fail)
    assert len(SVHN(tmp_path / 'data', split='test')) == NUM


def test_stl10_is_downloaded_and_unpacked(tmp_path, monkeypatch):
    write(STL10, tmp_path, 'train')
    believe(monkeypatch, STL10, tmp_path)
    archive = tmp_path / 'stl10_binary.tar.gz'
    with tarfile.open(archive, 'w:gz') as tar:
        tar.add(tmp_path / 'stl10_binary', 'stl10_binary')
    md5 = hashlib.md5(archive.read_bytes()).hexdigest()
    monkeypatch.setattr(STL10, 'archive_md5', md5)
    monkeypatch.setattr(STL10, 'url', f'file://{archive}')
    assert len(STL10(tmp_path / 'data', split='train')) == NUM


def test_unknown_split(tmp_path):
    message = r"SVHN: split='val': choose from \['train', 'test'\]"
    with pytest.raises(ValueError, match=message):
        SVHN(tmp_path, split='val')
