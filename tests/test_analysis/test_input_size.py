# Copyright (c) mmfba authors.
import pytest
from mmengine.config import Config

from mmfba.analysis.input_size import read_batch, read_shape


def read(pipeline, model=None, name='train', dataset=None):
    dataset = dataset or dict(pipeline=pipeline)
    loader = {f'{name}_dataloader': dict(batch_size=3, dataset=dataset)}
    return read_shape(Config(dict(model=model or {}, **loader)))


@pytest.mark.parametrize(
    'pipeline, shape',
    [
        ([dict(type='Resize', scale=(1333, 800))], (800, 1333)),
        ([dict(type='RandomFlip'), dict(type='Resize', scale=32)], (32, 32)),
        (
            [dict(type='RandomResize', scale=[(1333, 640), (1333, 800)])],
            (800, 1333),
        ),
        (
            [
                dict(
                    type='RandomResize',
                    scale=(1024, 1024),
                    ratio_range=(0.1, 2.0),
                ),
                dict(type='RandomCrop', crop_size=(1024, 1024)),
            ],
            (1024, 1024),
        ),
        (
            [dict(type='RandomChoiceResize', scales=[(400, 300), (640, 480)])],
            (480, 640),
        ),
        ([dict(type='RandomResizedCrop', scale=224)], (224, 224)),
        (
            [
                dict(type='ResizeEdge', scale=256, edge='short'),
                dict(type='CenterCrop', crop_size=224),
            ],
            (224, 224),
        ),
        ([dict(type='RandomCrop', crop_size=32, padding=4)], (32, 32)),
        (
            [
                dict(type='Mosaic', img_scale=(640, 480)),
                dict(type='RandomAffine', border=(-320, -240)),
            ],
            (480, 640),
        ),
        (
            [
                dict(
                    type='RandomChoice',
                    transforms=[
                        [dict(type='Resize', scale=(100, 50))],
                        [dict(type='Resize', scale=(200, 90))],
                    ],
                )
            ],
            (90, 200),
        ),
        (
            [dict(type='RandomResizedCropAndMore', size=96, scale=(0.1, 1.0))],
            (96, 96),
        ),
    ],
)
def test_largest_image_of_a_pipeline(pipeline, shape):
    assert read(pipeline)[0] == shape


def test_padding_and_augmentation_of_the_batch():
    pipeline = [dict(type='Resize', scale=(1333, 800), keep_ratio=True)]
    padded = dict(data_preprocessor=dict(pad_size_divisor=32))
    shape, source = read(pipeline, padded)
    assert shape == (800, 1344) and source == 'Resize of train_dataloader'
    augment = dict(type='BatchSyncRandomResize', random_size_range=(480, 800))
    padded['data_preprocessor']['batch_augments'] = [augment]
    assert read(pipeline, padded)[0] == (800, 800)


@pytest.mark.parametrize('key', ['upscale_factor', 'upscale'])
def test_super_resolution_reads_patches_of_the_target(key):
    pipeline = [dict(type='PairedRandomCrop', gt_patch_size=96)]
    assert read(pipeline, dict(generator={key: 2}))[0] == (48, 48)


def test_datasets_in_datasets():
    inner = dict(pipeline=[dict(type='Resize', scale=(64, 32))])
    larger = dict(pipeline=[dict(type='Resize', scale=(80, 40))])
    several = dict(type='ConcatDataset', datasets=[inner, larger])
    mixed = dict(dataset=several, pipeline=[dict(type='RandomFlip')])
    assert read(None, dataset=mixed)[0] == (40, 80)


def test_without_a_size_in_training_that_of_evaluation_counts():
    pipeline = [dict(type='Resize', scale=(128, 128))]
    shape, source = read(pipeline, name='val')
    assert shape == (128, 128) and source == 'Resize of val_dataloader'
    assert read([dict(type='RandomFlip')]) == (None, '')


def test_batch():
    assert read_batch(Config(dict(train_dataloader=dict(batch_size=3)))) == 3
    assert read_batch(Config(dict(train_dataloader=None))) is None
