# Copyright (c) mmfba authors.
import pytest
from local_models import config

from mmfba.analysis.synthetic import make_batch
from mmfba.models.build_model import build_model


@pytest.mark.parametrize('channels', [1, 3])
def test_images_have_the_channels_that_the_network_reads(channels):
    cfg = config('classification')
    cfg.model.backbone.in_channels = channels
    images, _ = make_batch(build_model(cfg), 2, (32, 32), 'meta')
    assert images.shape == (2, channels, 32, 32)
