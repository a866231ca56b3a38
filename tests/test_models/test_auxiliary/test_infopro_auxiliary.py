# Copyright (c) mmfba authors.
import pytest
import torch
import torch.nn.functional as F
from mmpretrain.models import ClsDataPreprocessor
from mmpretrain.models.backbones import ResNet
from peers import (
    CUTS,
    LABELS,
    assert_equals_reference,
    count,
    feature,
    peer_spec,
)
from torch import nn

from mmfba.models.auxiliary import InfoProAuxiliary
from mmfba.models.backbones import CIFARResNet

MEAN, STD = (125.0, 123.0, 114.0), (63.0, 62.0, 67.0)
WEIGHTS = dict(recon_weight=2.0, task_weight=0.5)


def spec(cut, **kwargs):
    preprocessor = ClsDataPreprocessor(mean=MEAN, std=STD)
    return peer_spec(cut, **{**dict(data_preprocessor=preprocessor), **kwargs})


def images():
    """Pixels in [0, 1], and what the network gets of them."""
    pixels = torch.rand(6, 3, 32, 32, dtype=torch.double)
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (MEAN, STD))
    return pixels, (pixels * 255 - mean) / std


class Equations(nn.Module):
    def __init__(self, pixels, decoder, layers, last, contrast):
        super().__init__()
        self.pixels, self.contrast = pixels, contrast
        self.decoder, self.layers = decoder, nn.Sequential(*layers)
        self.last = last

    def forward(self, x, image):
        p = torch.sigmoid(self.decoder(x))
        t = self.pixels
        recon = -(t * p.log() + (1 - t) * (1 - p).log()).mean()
        vectors = self.last(self.layers(x))
        task = (contrast if self.contrast else F.cross_entropy)(
            vectors, LABELS
        )
        return 2.0 * recon + 0.5 * task


def contrast(vectors, labels):
    z = vectors / vectors.norm(dim=1, keepdim=True)
    similarity = (z @ z.T / 0.07).exp()
    itself = torch.eye(len(z), dtype=torch.bool)
    scale = similarity.masked_fill(itself, 0).sum(1, keepdim=True)
    same = (labels[:, None] == labels) & ~itself
    log_prob = (similarity / scale).log() * same
    return -(log_prob.sum(1) / same.sum(1).clamp(min=1)).mean()


def conv(before, after, kernel=3, stride=1, bias=False):
    return [
        nn.Conv2d(before, after, kernel, stride, kernel // 2, bias=bias),
        nn.BatchNorm2d(after),
        nn.ReLU(),
    ]


def enlarge(size):
    return nn.Upsample(size=size, mode='bilinear', align_corners=True)


@pytest.mark.parametrize('loss', ['ce', 'contrast'])
@pytest.mark.parametrize('arch', ['1c2f', '2c2f'])
@pytest.mark.parametrize('channels, width', [(16, 32), (32, 64), (64, 64)])
def test_loss_and_gradients_on_cifar(arch, loss, channels, width):
    pixels, normalised = images()
    stride = 1 if channels == 64 else 2
    layers = conv(channels, width, 3, stride)
    if arch == '2c2f':
        layers += conv(width, width)
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 128)]
    reference = Equations(
        pixels,
        nn.Sequential(
            enlarge(32),
            *conv(channels, 12, bias=True),
            nn.Conv2d(12, 3, 3, padding=1),
        ),
        [*layers, nn.ReLU()],
        nn.Linear(128, 128 if loss == 'contrast' else 10),
        loss == 'contrast',
    )
    aux = InfoProAuxiliary(
        spec(CUTS[channels]), arch=arch, loss=loss, **WEIGHTS
    )
    x = feature(channels, 512 // channels)
    losses = assert_equals_reference(aux, reference, x, normalised)
    task = {'ce': 'loss_cls', 'contrast': 'loss_contrast'}[loss]
    assert set(losses) == {'loss_recon', task}
    assert aux.reads == ('input',)


def test_loss_and_gradients_on_imagenet():
    pixels, normalised = images()
    reference = Equations(
        pixels,
        nn.Sequential(
            *conv(512, 128, 1, bias=True),
            enlarge(8),
            *conv(128, 32, bias=True),
            enlarge(16),
            *conv(32, 12, bias=True),
            enlarge(32),
            nn.Conv2d(12, 3, 3, padding=1),
        ),
        [
            *conv(512, 128, 1),
            *conv(128, 256, 3, 2),
            *conv(256, 512, 3, 2),
            *conv(512, 2048, 1),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        ],
        nn.Linear(2048, 10),
        False,
    )
    aux = InfoProAuxiliary(
        spec('layer2.0', backbone=ResNet(50)), arch='imagenet', **WEIGHTS
    )
    assert_equals_reference(aux, reference, feature(512, 4), normalised)


@pytest.mark.parametrize(
    'loss, counts',
    [('ce', [10186, 28170, 46602]), ('contrast', [25408, 43392, 61824])],
)
def test_parameter_counts(loss, counts):
    nets = [
        InfoProAuxiliary(spec(cut), loss=loss, **WEIGHTS)
        for cut in CUTS.values()
    ]
    assert [count(net) - count(net.decoder) for net in nets] == counts
    assert [count(net.decoder) for net in nets] == [2091, 3819, 7275]


@pytest.mark.parametrize(
    'num_modules, index, weights',
    [
        (2, 0, (5, 1)),
        (4, 0, (6, 0)),
        (4, 1, (3.5, 1)),
        (4, 2, (1, 2)),
        (8, 3, (2.5, 1)),
        (8, 6, (0, 2)),
        (16, 0, (5, 0.05)),
        (16, 7, (2.6, 0.275)),
        (16, 14, (0.2, 0.5)),
    ],
)
def test_published_weights_fall_and_rise_linearly(num_modules, index, weights):
    aux = InfoProAuxiliary(spec('stem', index=index, num_modules=num_modules))
    assert (aux.recon_weight, aux.task_weight) == pytest.approx(weights)


def test_normalisation_is_not_saved():
    aux = InfoProAuxiliary(spec('stem'), **WEIGHTS)
    assert {'decoder.mean', 'decoder.std'} <= {
        n for n, _ in aux.named_buffers()
    }
    assert not {'decoder.mean', 'decoder.std'} & set(aux.state_dict())


def test_grey_images_are_reconstructed_grey():
    grey = spec(
        'stem',
        backbone=CIFARResNet(20, in_channels=1),
        data_preprocessor=ClsDataPreprocessor(mean=[73.0], std=[90.0]),
    )
    decoder = InfoProAuxiliary(grey, **WEIGHTS).decoder
    image = (torch.rand(6, 1, 8, 8, dtype=torch.double) * 255 - 73) / 90
    assert decoder.double().loss(feature(16, 8), image).isfinite()


@pytest.mark.parametrize(
    'options, message',
    [
        (dict(arch='1c3f'), r"arch='1c3f': choose from \('1c2f'"),
        (dict(loss='mse'), r"loss='mse': choose from \('ce'"),
        (dict(recon_weight=(1, 2, 3)), r'recon_weight=\(1, 2, 3\): expected'),
        (dict(task_weight=-1), 'task_weight=-1: expected'),
        (dict(recon_weight=0, task_weight=0), 'both 0 at module 0, which'),
    ],
)
def test_wrong_values_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        InfoProAuxiliary(spec('stem'), **{**WEIGHTS, **options})


def test_what_cannot_be_known_is_an_error():
    with pytest.raises(ValueError, match='no weights are published for K=5'):
        InfoProAuxiliary(spec('stem', num_modules=5))
    with pytest.raises(ValueError, match='data_preprocessor.mean=None: the d'):
        InfoProAuxiliary(
            spec('stem', data_preprocessor=ClsDataPreprocessor()), **WEIGHTS
        )
    mixup = ClsDataPreprocessor(
        mean=MEAN, std=STD, batch_augments=dict(augments='Mixup')
    )
    mixed = spec('stem', data_preprocessor=mixup)
    InfoProAuxiliary(mixed, **WEIGHTS)
    with pytest.raises(ValueError, match="'contrast' compares images by"):
        InfoProAuxiliary(mixed, loss='contrast', **WEIGHTS)
