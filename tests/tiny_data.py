# Copyright (c) mmfba authors.
"""Writers of tiny data sets in the true file formats and folders.

Run a stock config with the working directory ``root`` after, for example,
``write_coco(root / 'data/coco')``, and its relative paths are right.
"""

import json
import pickle
from pathlib import Path

import cv2
import numpy as np


def _image(rng, height: int, width: int) -> np.ndarray:
    """A smooth random BGR image, (height, width, 3) uint8."""
    small = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


def _write_image(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image), path


def _write_text(path: Path, lines) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('\n'.join(lines) + '\n')


def _box(rng, height: int, width: int):
    """A random box (x, y, w, h) of at least half of each side."""
    w, h = (int(rng.integers(s // 2, s - 2)) for s in (width, height))
    return (
        int(rng.integers(0, width - w)),
        int(rng.integers(0, height - h)),
        w,
        h,
    )


def write_coco(root, num_train: int = 4, num_val: int = 2) -> None:
    """Write COCO 2017 detection, as ``data/coco``: 96x80 images, two boxes.

    All 80 categories are listed, since CocoMetric looks up any prediction.
    """
    from mmdet.datasets import CocoDataset

    root, rng = Path(root), np.random.default_rng(0)
    categories = [
        dict(id=i + 1, name=name)
        for i, name in enumerate(CocoDataset.METAINFO['classes'])
    ]
    for split, num in (('train', num_train), ('val', num_val)):
        images, annotations = [], []
        for i in range(1, num + 1):
            name = f'{i:012d}.jpg'
            image = _image(rng, 80, 96)
            images.append(dict(id=i, file_name=name, height=80, width=96))
            for _ in range(2):
                x, y, w, h = _box(rng, 80, 96)
                image[y : y + h, x : x + w] = rng.integers(0, 256, 3)
                annotations.append(
                    dict(
                        id=len(annotations) + 1,
                        image_id=i,
                        category_id=int(rng.integers(1, 81)),
                        bbox=[x, y, w, h],
                        area=w * h,
                        iscrowd=0,
                    )
                )
            _write_image(root / f'{split}2017' / name, image)
        _write_text(
            root / f'annotations/instances_{split}2017.json',
            [
                json.dumps(
                    dict(
                        images=images,
                        annotations=annotations,
                        categories=categories,
                    )
                )
            ],
        )


def write_voc(root, num: int = 2) -> None:
    """Write VOC 2007 and 2012, as ``data/VOCdevkit``: 96x80, one box each."""
    root, rng = Path(root), np.random.default_rng(0)
    splits = (
        ('VOC2007', 'trainval'),
        ('VOC2007', 'test'),
        ('VOC2012', 'trainval'),
    )
    for year, split in splits:
        names = [f'{split}_{i:06d}' for i in range(num)]
        for i, name in enumerate(names):
            x, y, w, h = _box(rng, 80, 96)
            corners = dict(
                xmin=x + 1, ymin=y + 1, xmax=x + w + 1, ymax=y + h + 1
            )
            box = ''.join(f'<{k}>{v}</{k}>' for k, v in corners.items())
            _write_image(
                root / year / f'JPEGImages/{name}.jpg', _image(rng, 80, 96)
            )
            _write_text(
                root / year / f'Annotations/{name}.xml',
                [
                    '<annotation><size><width>96</width><height>80</height>'
                    '<depth>3</depth></size><object>'
                    f'<name>{("cat", "dog")[i % 2]}</name>'
                    f'<difficult>0</difficult><bndbox>{box}</bndbox>'
                    '</object></annotation>'
                ],
            )
        _write_text(root / year / f'ImageSets/Main/{split}.txt', names)


def write_fashion_mnist(root, num_train: int = 8, num_test: int = 4) -> None:
    """Write Fashion-MNIST's four idx files, unpacked: 28x28, 10 classes."""
    root, rng = Path(root), np.random.default_rng(0)
    root.mkdir(parents=True, exist_ok=True)
    for split, num in (('train', num_train), ('t10k', num_test)):
        images = rng.integers(0, 256, (num, 28, 28), dtype=np.uint8)
        labels = rng.integers(0, 10, num, dtype=np.uint8)
        for array, name in ((images, 'images-idx3'), (labels, 'labels-idx1')):
            # Type 8 is uint8; numbers are big-endian.
            header = np.array([8 * 256 + array.ndim, *array.shape], '>u4')
            (root / f'{split}-{name}-ubyte').write_bytes(
                header.tobytes() + array.tobytes()
            )


def write_cifar10(root, num_train: int = 10, num_test: int = 4) -> None:
    """Write CIFAR-10's pickled batches, as ``data/cifar10``: 32x32.

    mmpretrain checks the md5 of the real files: a config that reads these
    needs ``custom_imports = dict(imports=['tiny_cifar10'])`` with this file's
    folder on PYTHONPATH.
    """
    folder, rng = Path(root) / 'cifar-10-batches-py', np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    sizes = {f'data_batch_{i}': -(-num_train // 5) for i in range(1, 6)}
    for name, num in dict(sizes, test_batch=num_test).items():
        batch = dict(
            batch_label=name,
            labels=rng.integers(0, 10, num).tolist(),
            data=rng.integers(0, 256, (num, 3072), dtype=np.uint8),
            filenames=[f'{name}_{i}.png' for i in range(num)],
        )
        (folder / name).write_bytes(pickle.dumps(batch, protocol=2))
    names = [f'class_{i}' for i in range(10)]
    (folder / 'batches.meta').write_bytes(
        pickle.dumps(dict(label_names=names), protocol=2)
    )


def write_svhn(root, num: int = 4) -> None:
    """Write SVHN's two .mat files, as ``data/svhn``: 32x32, 0 is label 10."""
    from scipy.io import savemat

    root, rng = Path(root), np.random.default_rng(0)
    root.mkdir(parents=True, exist_ok=True)
    for split in ('train', 'test'):
        images = rng.integers(0, 256, (32, 32, 3, num), dtype=np.uint8)
        labels = rng.integers(1, 11, (num, 1), dtype=np.uint8)
        savemat(
            root / f'{split}_32x32.mat',
            dict(X=images, y=labels),
            do_compression=True,
        )


def write_stl10(root, num: int = 4) -> None:
    """Write STL-10's labelled binary files, as ``data/stl10``: 96x96."""
    folder, rng = Path(root) / 'stl10_binary', np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    for split in ('train', 'test'):
        images = rng.integers(0, 256, (num, 3, 96, 96), dtype=np.uint8)
        images.tofile(folder / f'{split}_X.bin')
        labels = rng.integers(1, 11, num, dtype=np.uint8)
        labels.tofile(folder / f'{split}_y.bin')


def write_imagenet(root, num_train: int = 4, num_val: int = 2) -> None:
    """Write ImageNet-1k with ``meta/*.txt``, as ``data/imagenet``: 80x72."""
    root, rng = Path(root), np.random.default_rng(0)
    for split, num in (('train', num_train), ('val', num_val)):
        lines = []
        for i in range(num):
            name = (
                f'n{i:08d}/n{i:08d}_1.JPEG'
                if split == 'train'
                else f'ILSVRC2012_val_{i:08d}.JPEG'
            )
            # cv2 knows the format by suffix only, and .JPEG is one.
            _write_image(root / split / name, _image(rng, 72, 80))
            lines.append(f'{name} {i * 37}')
        _write_text(root / f'meta/{split}.txt', lines)


def write_div2k(root, scale: int = 2, num: int = 2) -> None:
    """Write DIV2K, Set5 and Set14 under ``root``, as ``data``: 96x96.

    Low-resolution images are bicubic, without anti-aliasing.
    """
    root, rng = Path(root), np.random.default_rng(0)
    div2k = root / 'DIV2K'
    folders = {
        div2k / 'DIV2K_train_HR_sub': div2k
        / f'DIV2K_train_LR_bicubic/X{scale}_sub',
        root / 'Set5/GTmod12': root / f'Set5/LRbicx{scale}',
        root / 'Set14/GTmod12': root / f'Set14/LRbicx{scale}',
    }
    names = [f'{i:04d}_s001.png' for i in range(1, num + 1)]
    for high, low in folders.items():
        for name in names:
            image = _image(rng, 96, 96)
            size = 96 // scale
            _write_image(high / name, image)
            _write_image(
                low / name,
                cv2.resize(image, (size, size), interpolation=cv2.INTER_CUBIC),
            )
    for subset in (800, 100):
        _write_text(
            div2k / f'meta_info_DIV2K{subset}sub_GT.txt',
            [f'{name} (96,96,3)' for name in names],
        )
