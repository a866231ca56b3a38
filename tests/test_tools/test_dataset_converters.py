# Copyright (c) mmfba authors.
"""The data sets that tools/dataset_converters/ makes of installed data."""

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.hub import get_config
from PIL import Image
from pycocotools.coco import COCO
from sklearn.datasets import load_digits

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / 'tools/dataset_converters'))

import digit_scenes  # noqa: E402
import photographs  # noqa: E402
from _write_once import read_record, write_once  # noqa: E402


def _make_scenes(out, **kwargs):
    kwargs = dict(num_train=12, num_val=5) | kwargs
    return digit_scenes.make_digit_scenes(out, **kwargs)


def _content(folder):
    files = (path for path in folder.rglob('*') if path.is_file())
    return {str(p.relative_to(folder)): p.read_bytes() for p in files}


@pytest.fixture(scope='module')
def scenes(tmp_path_factory):
    out = tmp_path_factory.mktemp('digits') / 'digit_scenes'
    counts, written = _make_scenes(out)
    assert written and counts == read_record(out)['summary']
    return out


@pytest.fixture(scope='module')
def pairs(tmp_path_factory):
    out = tmp_path_factory.mktemp('photographs') / 'photographs'
    return out, photographs.make_photographs(out, ('skimage', 'sklearn'))


@pytest.mark.parametrize(('split', 'num'), [('train', 12), ('val', 5)])
def test_scenes_are_a_coco_set(scenes, split, num):
    coco = COCO(str(scenes / f'annotations/{split}.json'))
    names = [c['name'] for c in coco.loadCats(coco.getCatIds())]
    assert names == [*'0123456789']
    assert len(coco.imgs) == num
    target = load_digits().target
    for image in coco.imgs.values():
        size = Image.open(scenes / split / image['file_name']).size
        assert size == (image['width'], image['height']) == (128, 128)
        notes = coco.imgToAnns[image['id']]
        assert 2 <= len(notes) <= 6
        for note in notes:
            x, y, w, h = note['bbox']
            assert min(x, y) >= 0 and min(w, h) > 1
            assert x + w <= 128 and y + h <= 128
            assert note['area'] == w * h and note['iscrowd'] == 0
            assert note['category_id'] == target[note['digit_id']]


def test_boxes_are_those_of_the_visible_strokes():
    rng = np.random.default_rng(0)
    canvas = np.full((128, 128, 3), 127, np.float32)
    digits, sides, checked = load_digits().images, [], 0
    for _ in range(20):
        scene, found = digit_scenes.compose_scene(rng, canvas, digits)
        change = np.abs(scene - canvas).max(axis=2)
        parts = [np.s_[y : y + h, x : x + w] for _, (x, y, w, h) in found]
        covers = np.zeros((128, 128), int)
        for part in parts:  # in the order of pasting
            assert (covers[part] > 0).mean() <= 0.1
            covers[part] += 1
        assert not change[covers == 0].any()
        for part, (_, (*_, w, h)) in zip(parts, found):
            sides.append(max(w, h))
            if (covers[part] > 1).any():
                continue  # overlapping strokes cannot be told apart
            ys, xs = np.nonzero(change[part] > 0.45 * change[part].max())
            assert [xs.min(), ys.min()] == [0, 0]
            assert [xs.max() + 1, ys.max() + 1] == [w, h]
            checked += 1
    assert checked > 40
    assert np.percentile(sides, 90) > 3 * np.percentile(sides, 10)


def test_no_digit_is_in_both_splits(scenes):
    split = digit_scenes.split_digits()
    target = load_digits().target
    assert sorted(np.concatenate(list(split.values()))) == [*range(1797)]
    share = np.bincount(target[split['val']]) / np.bincount(target)
    assert share == pytest.approx(np.full(10, 0.3), abs=0.01)
    for name, indices in split.items():
        text = (scenes / f'annotations/{name}.json').read_text()
        used = {note['digit_id'] for note in json.loads(text)['annotations']}
        assert used <= set(indices.tolist())


def test_the_scenes_are_the_same_each_time(scenes, tmp_path):
    _make_scenes(tmp_path / 'same')
    _make_scenes(tmp_path / 'more', num_train=14)
    first = _content(scenes)
    assert _content(tmp_path / 'same') == first
    more = _content(tmp_path / 'more')
    for name in (name for name in first if name.endswith('.jpg')):
        assert more[name] == first[name]


def test_mmdet_loads_the_scenes(scenes):
    from mmdet.datasets import CocoDataset

    dataset = CocoDataset(
        data_root=str(scenes),
        ann_file='annotations/train.json',
        data_prefix=dict(img='train/'),
        metainfo=dict(classes=tuple('0123456789')),
    )
    assert len(dataset) == 12
    for item in dataset:
        assert cv2.imread(item['img_path']).shape == (128, 128, 3)
        assert 2 <= len(item['instances']) <= 6
        assert {i['bbox_label'] for i in item['instances']} <= {*range(10)}


def test_an_interrupted_run_is_repaired(scenes, tmp_path, monkeypatch):
    out = tmp_path / 'digit_scenes'
    with monkeypatch.context() as patch:
        five = iter([cv2.imwrite] * 5)  # stops after five images
        patch.setattr(cv2, 'imwrite', lambda *args: next(five)(*args))
        with pytest.raises(StopIteration):
            _make_scenes(out)
    assert not out.exists() and len(list(tmp_path.iterdir())) == 1
    assert _make_scenes(out)[1] and list(tmp_path.iterdir()) == [out]
    assert _content(out) == _content(scenes)

    assert not _make_scenes(out)[1]
    (out / 'train/000003.jpg').unlink()
    assert _make_scenes(out)[1] and _content(out) == _content(scenes)
    assert _make_scenes(out, num_train=3)[1]
    assert len(list((out / 'train').iterdir())) == 3


def test_what_is_not_a_data_set_is_left_alone(tmp_path):
    (tmp_path / 'mine.txt').write_text('mine')
    for out in (tmp_path, tmp_path / 'mine.txt'):
        with pytest.raises(FileExistsError, match='another --out'):
            write_once(out, {}, lambda folder: {})
    assert (tmp_path / 'mine.txt').read_text() == 'mine'


def test_wrong_numbers_of_scenes(tmp_path):
    for name, number in dict(num_train=0, num_val=0).items():
        with pytest.raises(ValueError, match=f'Give num_train.*{number}'):
            _make_scenes(tmp_path / 'out', **{name: number})
    assert not list(tmp_path.iterdir())


def test_command_lines(pairs, scenes, monkeypatch, capsys):
    line = f'x --out {scenes} --num-train 12 --num-val 5'
    monkeypatch.setattr(sys, 'argv', line.split())
    digit_scenes.main()
    assert 'digit_scenes: already there' in capsys.readouterr().out
    line = f'x --out {pairs[0]} --sources skimage sklearn'
    monkeypatch.setattr(sys, 'argv', line.split())
    photographs.main()
    assert 'photographs: already there' in capsys.readouterr().out


def test_pairs_in_the_layout_of_div2k(pairs):
    out, (summary, written) = pairs
    assert written and summary == read_record(out)['summary']
    hr = sorted((out / 'DIV2K_train_HR_sub').iterdir())
    lr = sorted((out / 'DIV2K_train_LR_bicubic/X2_sub').iterdir())
    assert [p.name for p in hr] == [p.name for p in lr]
    meta = (out / 'meta_info_DIV2K800sub_GT.txt').read_text().splitlines()
    assert sorted(line.split()[0] for line in meta) == [p.name for p in hr]
    assert summary['num_train_tiles'] == len(hr) > 5

    valid = sorted((out / 'DIV2K_valid_HR').iterdir())
    small = sorted((out / 'DIV2K_valid_LR_bicubic/X2').iterdir())
    assert [p.stem + 'x2' for p in valid] == [p.stem for p in small]
    assert [p.stem for p in valid] == sorted(photographs.VALIDATION)
    tiled = {p.stem.rpartition('_')[0] for p in hr}
    assert not tiled & set(photographs.VALIDATION)

    sizes = {}
    for names in zip(hr + valid, lr + small):
        a, b = map(Image.open, names)
        assert a.size == (2 * b.width, 2 * b.height)
        assert not (a.width % 12 or a.height % 12)
        assert a.mode == b.mode == 'RGB' and not a.info
        sizes[names[0].name] = f'({a.height},{a.width},3)'
    assert all(sizes[n] == size for n, size in map(str.split, meta))


def test_the_small_images_are_antialiased():
    stripes = np.zeros((24, 24, 3), np.uint8)
    stripes[:, ::2] = 255
    small, _ = photographs.degrade(Image.fromarray(stripes))
    assert np.ptp(np.asarray(small)[:, 2:-2]) <= 1
    assert abs(float(np.mean(small)) - 127.5) < 2


def test_mmagic_loads_the_pairs_and_agrees_on_the_baseline(pairs):
    from mmagic.evaluation.metrics import psnr
    from mmagic.registry import DATASETS
    from mmagic.utils import register_all_modules
    from mmengine.registry import DefaultScope

    register_all_modules(init_default_scope=False)
    config = get_config('mmagic::edsr/edsr_x2c64b16_1xb16-300k_div2k.py')
    train = config.train_dataloader.dataset
    val = config.val_dataloader.dataset
    train.data_root = val.data_root = str(pairs[0])
    val.data_prefix.update(img='DIV2K_valid_LR_bicubic/X2')
    val.data_prefix.update(gt='DIV2K_valid_HR')
    val.filename_tmpl = dict(img='{}x2', gt='{}')
    with DefaultScope.overwrite_default_scope('mmagic'):
        train, val = DATASETS.build(train), DATASETS.build(val)
    assert len(train) == pairs[1][0]['num_train_tiles']
    assert train[0]['inputs'].shape == (3, 48, 48)
    assert train[0]['data_samples'].gt_img.shape == (3, 96, 96)
    psnrs = []
    for item in val:
        images = item['inputs'], item['data_samples'].gt_img
        small, large = (x.permute(1, 2, 0).numpy() for x in images)
        small = Image.fromarray(small)
        restored = small.resize(large.shape[1::-1], Image.Resampling.BICUBIC)
        psnrs.append(psnr(large, np.asarray(restored), crop_border=2))
    assert len(psnrs) == len(photographs.VALIDATION)
    assert pairs[1][0]['bicubic_psnr'] == pytest.approx(np.mean(psnrs), 1e-5)


def test_missing_photographs(monkeypatch):
    with pytest.raises(ValueError, match='choose from skimage'):
        photographs.find_photographs(('flickr',))
    with pytest.raises(FileNotFoundError, match='keep both in --sources'):
        photographs.find_photographs(('skimage',))
    gone = ('no_such_package/data', 'a.png')
    monkeypatch.setitem(photographs.SOURCES, 'mate', gone)
    assert 'a' not in photographs.find_photographs()
