# Copyright (c) mmfba authors.
import hashlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from local_models import TASKS, build, config
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.runner import load_checkpoint
from tiny_runner import make_runner

import mmfba.engine.publish
from mmfba.engine.plain_config import plain_config
from mmfba.engine.publish import publish
from mmfba.models.build_model import build_model

ROOT = Path(__file__).resolve().parents[2]

CLASSES = tuple('abcdefghij')
PIPELINES = {
    'classification': [
        dict(type='LoadImageFromFile'),
        dict(type='PackInputs'),
    ],
    'detection': [
        dict(type='LoadImageFromFile'),
        dict(type='Resize', scale=(128, 96), keep_ratio=True),
        dict(type='PackDetInputs'),
    ],
    'super-resolution': [
        dict(type='LoadImageFromFile', key='img'),
        dict(type='PackInputs'),
    ],
}


def _config(task):
    cfg = config(task, num_modules=3)
    dataset = dict(pipeline=PIPELINES[task])
    if task == 'detection':
        dataset.update(type='CocoDataset', ann_file='none')
        cfg.visualizer = dict(type='DetLocalVisualizer', name=task)
    cfg.test_dataloader = dict(dataset=dataset)
    cfg.test_pipeline = PIPELINES[task]
    return cfg


@pytest.fixture
def trained(tmp_path):
    """Writes what a training leaves, and returns model, config and path."""

    def write(task):
        model = build(task, num_modules=3).eval()
        path = tmp_path / 'epoch_1.pth'
        torch.save(
            dict(
                meta=dict(
                    cfg='the local config',
                    epoch=1,
                    dataset_meta=dict(classes=CLASSES),
                ),
                state_dict=model.state_dict(),
                message_hub=dict(runtime_info=dict(cfg='the local config')),
                optimizer=dict(state={}),
                param_schedulers=[],
            ),
            path,
        )
        return model, _config(task), str(path)

    return write


@pytest.fixture
def image(tmp_path):
    """Path of a picture of 64x64 pixels."""
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    assert cv2.imwrite(str(tmp_path / 'image.png'), pixels)
    return str(tmp_path / 'image.png')


@pytest.mark.parametrize('task', TASKS)
def test_files(task, trained, tmp_path):
    model, cfg, path = trained(task)
    weights, new_config = publish(cfg, path, str(tmp_path / 'net.v1.pth'))
    digits = hashlib.sha256(weights.read_bytes()).hexdigest()[:8]
    assert weights.name == f'net.v1-{digits}.pth'
    assert new_config.name == 'net.v1.py'
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(
        ['epoch_1.pth', weights.name, new_config.name]
    )

    published = torch.load(weights, weights_only=True)
    assert set(published) == {'meta', 'state_dict'}
    plain = build(task).state_dict()
    assert list(published['state_dict']) == list(plain)
    for name, value in published['state_dict'].items():
        assert value.equal(model.state_dict()[name]), name
    assert published['state_dict']._metadata == plain._metadata
    assert published['meta']['dataset_meta']['classes'] == CLASSES
    text = new_config.read_text()
    assert published['meta']['cfg'] == text
    assert ('mmfba' in text) == (task == 'classification')  # CIFARResNet

    again, _ = publish(cfg, path, str(tmp_path / 'other'))
    assert again.name == f'other-{digits}.pth'


def test_classification_inferencer(trained, image, tmp_path):
    from mmpretrain import ImageClassificationInferencer

    model, cfg, path = trained('classification')
    weights, new_config = publish(cfg, path, str(tmp_path / 'net.pth'))
    inferencer = ImageClassificationInferencer(
        str(new_config), pretrained=str(weights), device='cpu'
    )
    (found,) = inferencer(image)
    (batch,) = inferencer.preprocess([image])
    with torch.no_grad():
        expected = model.test_step(batch)[0]
    assert (found['pred_scores'] == expected.pred_score.numpy()).all()
    assert found['pred_class'] == CLASSES[int(expected.pred_label)]


@pytest.mark.parametrize('with_config', [True, False])
def test_det_inferencer(with_config, trained, image, tmp_path):
    from mmdet.apis import DetInferencer

    model, cfg, path = trained('detection')
    weights, new_config = publish(cfg, path, str(tmp_path / 'net.pth'))
    inferencer = DetInferencer(
        str(new_config) if with_config else None,
        weights=str(weights),
        device='cpu',
        show_progress=False,
    )
    found = inferencer(image, return_datasamples=True)['predictions'][0]
    data = inferencer.pipeline(image)
    data = {key: [value] for key, value in data.items()}
    expected = model.test_step(data)[0].pred_instances
    assert len(expected) == 20
    for key, value in expected.items():
        assert found.pred_instances[key].equal(value), key
    assert inferencer.visualizer.dataset_meta['classes'] == CLASSES


def test_super_resolution(trained, image, tmp_path):
    # mmagic's inferencers import controlnet_aux, which nothing here needs.
    from mmagic.models import BaseEditModel
    from mmagic.registry import MODELS

    model, cfg, path = trained('super-resolution')
    weights, new_config = publish(cfg, path, str(tmp_path / 'net.pth'))
    cfg = Config.fromfile(str(new_config))
    stock = MODELS.build(cfg.model).eval()
    assert type(stock) is BaseEditModel
    load_checkpoint(stock, str(weights), strict=True)
    batch = pseudo_collate([Compose(cfg.test_pipeline)(dict(img_path=image))])
    with torch.no_grad():
        found, expected = (
            net.test_step(batch)[0].output.pred_img for net in (stock, model)
        )
    assert found.shape == (3, 128, 128) and found.equal(expected)


def test_averaged_weights(tmp_path):
    runner = make_runner(
        build('classification', num_modules=3),
        tmp_path,
        custom_hooks=[dict(type='EMAHook', momentum=0.5)],
    )
    runner.train()
    weights, _ = publish(
        config('classification', num_modules=3),
        str(tmp_path / 'epoch_1.pth'),
        str(tmp_path / 'net.pth'),
    )
    (ema,) = [h.ema_model for h in runner.hooks if hasattr(h, 'ema_model')]
    averaged, last = ema.module.state_dict(), runner.model.state_dict()
    state = torch.load(weights, weights_only=True)['state_dict']
    for name, value in state.items():
        assert value.equal(averaged[name]), name
    assert any(not value.equal(last[name]) for name, value in state.items())


@pytest.mark.parametrize('kind', [None, 'mmfba.GreedyAuxiliary'])
@pytest.mark.parametrize('num_modules', [2, 3])
def test_auxiliary_networks_do_not_matter(num_modules, kind, tmp_path):
    """Of other cuts or of another kind: they are dropped."""
    options = dict(auxiliary=dict(type=kind)) if kind else {}
    model = build('classification', num_modules=num_modules, **options)
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'a.pth')
    paths = [str(tmp_path / name) for name in ('a.pth', 'net.pth')]
    weights, _ = publish(config('classification', num_modules=3), *paths)
    state = torch.load(weights, weights_only=True)['state_dict']
    assert state.keys() == build('classification').state_dict().keys()
    assert all(v.equal(model.state_dict()[n]) for n, v in state.items())


def _refused(tmp_path, match, *args):
    before = sorted(tmp_path.iterdir())
    with pytest.raises(ValueError, match=match):
        publish(*args)
    assert sorted(tmp_path.iterdir()) == before


def test_wrong_checkpoints(trained, tmp_path):
    _, cfg, path = trained('classification')
    out = str(tmp_path / 'net.pth')
    other = _config('super-resolution')
    _refused(tmp_path, 'and the config do not fit', other, path, out)
    _refused(tmp_path, 'none.pth: there is no such', cfg, 'none.pth', out)
    whole = (tmp_path / 'epoch_1.pth').read_bytes()
    for data in (whole[:-1000], b'', b'hello'):
        (tmp_path / 'broken.pth').write_bytes(data)
        broken = str(tmp_path / 'broken.pth')
        _refused(tmp_path, 'broken.pth cannot be read', cfg, broken, out)
    torch.save(dict(weight=torch.ones(1)), broken)
    _refused(tmp_path, 'no state_dict', cfg, broken, out)


def test_wrong_outputs(trained, tmp_path):
    _, cfg, path = trained('classification')
    out = str(tmp_path / 'net.pth')
    (tmp_path / 'net.py').write_text('mine')
    _refused(tmp_path, 'net.py exists', cfg, path, out)
    (tmp_path / 'net.py').unlink()
    weights, new_config = publish(cfg, path, out)
    new_config.unlink()
    _refused(tmp_path, f'{weights.name} exists', cfg, path, out)
    out = str(tmp_path / 'none/net.pth')
    _refused(tmp_path, 'none is no folder', cfg, path, out)


@pytest.mark.parametrize(
    'options, match',
    [
        (dict(res_scale=0.5), 'outputs of the plain model'),
        (dict(num_blocks=5), 'do not fit'),
    ],
    ids=str,
)
def test_another_plain_model(options, match, trained, tmp_path, monkeypatch):
    def wrong_config(cfg: Config) -> Config:
        cfg = plain_config(cfg)
        cfg.model.generator.update(options)
        return cfg

    monkeypatch.setattr(mmfba.engine.publish, 'plain_config', wrong_config)
    _, cfg, path = trained('super-resolution')
    _refused(tmp_path, match, cfg, path, str(tmp_path / 'net.pth'))


@pytest.mark.parametrize(
    'name',
    [
        'local_fpn/local-fpn-k4_faster-rcnn_r18-w32_fpn_1xb8-6e_digit-scenes',
        'fba/fba-k4_swin-w32_1xb128-2e_fashion-mnist',
    ],
)
def test_other_families(tmp_path, name):
    cfg = Config.fromfile(ROOT / f'configs/{name}.py')
    path = tmp_path / 'epoch_1.pth'
    state = build_model(cfg).state_dict()
    torch.save(dict(meta=dict(), state_dict=state), path)
    weights, config = publish(cfg, str(path), str(tmp_path / 'plain.pth'))
    plain = build_model(Config.fromfile(str(config)))
    published = torch.load(weights, weights_only=True)['state_dict']
    assert plain.load_state_dict(published)
    assert not any('local_aux' in key for key in published)
