# Copyright (c) mmfba authors.
import torch
from local_models import build, raw_data

from mmfba.analysis.similarity import compare_networks
from mmfba.analysis.unit_features import unit_features


def test_features_are_those_of_the_plain_forward():
    model = build('classification', num_modules=3).eval()
    data = raw_data('classification')
    features = unit_features(model, data)
    images = model.data_preprocessor(data, False)['inputs']
    assert list(features)[0] == 'stem' and len(features) == 10
    assert not any(f.requires_grad for f in features.values())
    (last,) = model.backbone(images)
    assert features['layer3.2'].equal(last)


def test_detectors_have_no_probe():
    model = build('detection', num_modules=3).eval()
    data = raw_data('detection', batch_size=5)
    found = compare_networks(dict(a=model, b=model), [data])
    assert found['num_images'] == 5
    for network in found['networks']:
        assert network['probe'] is None
        assert [row[i] for i, row in enumerate(network['cka'])] == [1] * 9


def test_a_unit_that_tells_no_images_apart_has_no_cka():
    model = build('classification', num_modules=3).eval()
    with torch.no_grad():
        model.backbone.layer3[2].conv2.weight.zero_()
        model.backbone.layer3[2].norm2.bias.fill_(-100)
    data = raw_data('classification', batch_size=8)
    (network,) = compare_networks(dict(a=model), [data])['networks']
    assert network['cka'][9] == [None] * 10
    assert network['cka'][8][8] == 1


def test_super_resolution():
    model = build('super-resolution', num_modules=3).eval()
    data = raw_data('super-resolution', batch_size=4)
    (network,) = compare_networks(dict(a=model), [data])['networks']
    assert network['cka'][0][0] == 1
