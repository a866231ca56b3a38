# Copyright (c) mmfba authors.
"""SVHN and STL-10, read from tiny files in the true formats."""

import hashlib
import tarfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.error import URLError

import numpy as np
import pytest
from mmengine.config import Config
from mmpretrain.registry import DATASETS
from run_tool import ROOT
from scipy.io import savemat

from mmfba.datasets import STL10, SVHN

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


def md5(path):
    return hashlib.md5(path.read_bytes()).hexdigest()


def believe(monkeypatch, cls, root, url=''):
    """Take the md5 of the written files for the official ones."""
    if cls is SVHN:
        files = {
            split: [f'{url}/{name}', name, md5(root / name)]
            for split in ('train', 'test')
            for name in [f'{split}_32x32.mat']
            if (root / name).exists()
        }
        monkeypatch.setattr(cls.source, 'split_list', files)
        return
    for split in ('train', 'test'):
        files = sorted((root / 'stl10_binary').glob(f'{split}_*'))
        official = [[path.name, md5(path)] for path in files]
        monkeypatch.setattr(cls.source, f'{split}_list', official)


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


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A folder that is on the network."""
    folder = tmp_path / 'server'
    folder.mkdir()
    handler = partial(SimpleHTTPRequestHandler, directory=folder)
    with ThreadingHTTPServer(('127.0.0.1', 0), handler) as running:
        Thread(target=running.serve_forever, daemon=True).start()
        monkeypatch.setenv('no_proxy', '127.0.0.1')
        url = f'http://127.0.0.1:{running.server_port}'
        yield folder, url
        running.shutdown()


def test_svhn_is_downloaded(server, tmp_path, monkeypatch):
    folder, url = server
    write(SVHN, folder, 'test')
    believe(monkeypatch, SVHN, folder, url)
    assert len(SVHN(tmp_path / 'data', split='test')) == NUM
    # Once is enough.
    monkeypatch.setattr('urllib.request.urlopen', pytest.fail)
    assert len(SVHN(tmp_path / 'data', split='test')) == NUM


def test_stl10_is_downloaded_and_unpacked(server, tmp_path, monkeypatch):
    folder, url = server
    write(STL10, folder, 'train')
    believe(monkeypatch, STL10, folder)
    archive = folder / 'stl10_binary.tar.gz'
    with tarfile.open(archive, 'w:gz') as tar:
        tar.add(folder / 'stl10_binary', 'stl10_binary')
    monkeypatch.setattr(STL10.source, 'tgz_md5', md5(archive))
    monkeypatch.setattr(STL10.source, 'url', f'{url}/{archive.name}')
    assert len(STL10(tmp_path / 'data', split='train')) == NUM


def test_unknown_split(tmp_path):
    message = r"SVHN: split='val': choose from \('train', 'test'\)"
    with pytest.raises(ValueError, match=message):
        SVHN(tmp_path, split='val')
