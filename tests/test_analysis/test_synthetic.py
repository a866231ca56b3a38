# Copyright (c) mmfba authors.
import pytest
import torch
from local_models import config

from mmfba.analysis.synthetic import make_batch
from mmfba.models.build_model import build_model


@pytest.mark.parametrize('channels', [1, 3])
def test_images_have_the_channels_that_the_network_reads(channels):
    cfg = config('classification')
    cfg.model.backbone.in_channels = channels
    images, _ = make_batch(build_model(cfg), 2, (32, 32), 'meta')
    assert images.shape == (2, channels, 32, 32)


SWINIR = dict(type='SwinIRNet', upscale=2, depths=[1], num_heads=[2])


@pytest.mark.parametrize(
    'generator, scale',
    [
        (dict(SWINIR, embed_dim=8, upsampler='pixelshuffledirect'), 2),
        (dict(type='NAFNet', img_channels=3, mid_channels=4), 1),
    ],
    ids=['SwinIR', 'NAFNet'],
)
@pytest.mark.parametrize('local', [False, True])
def test_targets_have_the_size_of_the_output(generator, scale, local):
    cfg = config('super-resolution', num_modules=1)
    cfg.model.generator = generator
    if not local:
        cfg.model.type = 'BaseEditModel'
        del cfg.model['local_learning']
    model = build_model(cfg).eval()
    images, samples = make_batch(model, 2, (16, 16), 'cpu')
    with torch.no_grad():
        outputs = model.generator(images)
    assert samples.gt_img.shape == outputs.shape
    assert samples.gt_img.shape[-1] == 16 * scale
