# Copyright (c) mmfba authors.
import pytest
import torch
import torch.nn.functional as F
from mmpretrain.structures import DataSample
from peers import (
    CUTS,
    LABELS,
    assert_equals_reference,
    count,
    feature,
    samples,
)
from peers import peer_spec as spec
from specs import filled_bank
from torch import nn

from mmfba.models.auxiliary import PredSimAuxiliary
from mmfba.models.auxiliary.predsim_auxiliary import similarity_matrix


def cosine(a, b):
    """Between the centred descriptors of two images, clamped."""
    a, b = a - a.mean(), b - b.mean()
    norms = (a.square().sum().sqrt() + 1e-8, b.square().sum().sqrt() + 1e-8)
    return (a @ b / norms[0] / norms[1]).clamp(-1, 1)


def descriptor(image):
    """Standard deviation (n - 1) of each channel over its pixels."""
    pixels = image.reshape(len(image), -1)
    deviation = pixels - pixels.mean(1, keepdim=True)
    return (deviation.square().sum(1) / (pixels.shape[1] - 1)).sqrt()


class Equations(nn.Module):
    def __init__(self, channels, length, pool, beta):
        super().__init__()
        self.g = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.fc = nn.Linear(length, 10)
        self.pool, self.beta = pool, beta

    def forward(self, x):
        maps = [descriptor(image) for image in self.g(x)]
        onehot = torch.eye(10, dtype=x.dtype)[LABELS]
        pairs = [(i, j) for i in range(len(x)) for j in range(len(x))]
        errors = [
            cosine(maps[i], maps[j]) - cosine(onehot[i], onehot[j])
            for i, j in pairs
        ]
        matching = sum(e.square() for e in errors) / len(errors)
        logits = self.fc(self.pool(x).reshape(len(x), -1))
        prediction = F.cross_entropy(logits, LABELS)
        return self.beta * matching + (1 - self.beta) * prediction


def test_loss_and_gradients_are_those_of_the_equations():
    # 16 channels of 32x32 at 512: kernel 8x4, 4 rows and 8 columns are left.
    aux = PredSimAuxiliary(spec('stem'), (32, 32), 512)
    reference = Equations(16, 512, nn.AvgPool2d((8, 4)), 0.99)
    losses = assert_equals_reference(aux, reference, feature(16, 32))
    assert set(losses) == {'loss_sim', 'loss_cls'}


@pytest.mark.parametrize(
    'cut, image, dim, kernel, length',
    [
        ('stem', 32, 512, (8, 4), 512),
        ('layer2.0', 32, 512, (4, 4), 512),
        ('layer3.0', 32, 512, (4, 2), 512),
        ('stem', 32, 2048, (4, 2), 2048),
        ('stem', 96, 512, (32, 16), 288),
        ('layer2.0', 96, 512, (16, 16), 288),
        ('layer3.0', 96, 512, (16, 8), 384),  # 24 rows: zeros around
    ],
)
def test_pooling_of_the_published_networks(cut, image, dim, kernel, length):
    aux = PredSimAuxiliary(spec(cut), (image, image), dim)
    assert aux.pool.kernel_size == kernel
    assert aux.head.fc.in_features == length
    side = image // aux_stride(cut)
    x = torch.rand(6, aux.similarity.in_channels, side, side)
    loss = aux.loss(x, filled_bank((), {}), samples())['loss_cls']
    assert loss.isfinite()
    if (cut, image) == ('layer3.0', 96):
        padded = F.pad(x, (0, 0, 8, 8))
        expected = padded.unfold(2, 16, 16).unfold(3, 8, 8).mean((4, 5))
        torch.testing.assert_close(aux.pool(x), expected)


def aux_stride(cut):
    return {'stem': 1, 'layer2.0': 2, 'layer3.0': 4}[cut]


def test_parameter_counts():
    assert [7434, 14346, 41994] == [
        count(PredSimAuxiliary(spec(cut), (32, 32), 512))
        for cut in CUTS.values()
    ]


@pytest.mark.parametrize('shape', [(6, 3, 4, 4), (6, 8, 1, 4)])
def test_few_channels_and_single_rows_are_compared_by_all_values(shape):
    x = torch.rand(shape, dtype=torch.double)
    expected = [[cosine(a.flatten(), b.flatten()) for b in x] for a in x]
    torch.testing.assert_close(similarity_matrix(x), torch.tensor(expected))


def test_scores_of_mixup_are_targets():
    aux = PredSimAuxiliary(spec('stem'), (8, 8), 512)
    x, bank = feature(16, 8).float(), filled_bank((), {})
    onehot = [
        DataSample().set_gt_score(torch.eye(10)[label]) for label in LABELS
    ]
    expected = aux.loss(x, bank, samples())
    torch.testing.assert_close(aux.loss(x, bank, onehot), expected)


def test_similarity_is_in_single_precision_under_autocast(monkeypatch):
    seen = []

    def mse(a, b):
        seen.append((a.dtype, b.dtype, torch.is_autocast_cpu_enabled()))
        return F.l1_loss(a, b)

    module = 'mmfba.models.auxiliary.predsim_auxiliary.F.mse_loss'
    monkeypatch.setattr(module, mse)
    aux = PredSimAuxiliary(spec('stem'), (8, 8), 512)
    with torch.autocast('cpu', torch.bfloat16):
        aux.loss(feature(16, 8).float(), filled_bank((), {}), samples())
    assert seen == [(torch.float32, torch.float32, False)]


@pytest.mark.parametrize(
    'options, message',
    [
        (dict(input_shape=(32,)), r'input_shape=\(32,\): expected \(height'),
        (dict(input_shape=32), r'input_shape=32: expected \(height'),
        (dict(dim_in_decoder=8), 'dim_in_decoder=8: expected at least 16'),
    ],
)
def test_wrong_values_are_named(options, message):
    options = {**dict(input_shape=(32, 32), dim_in_decoder=512), **options}
    with pytest.raises(ValueError, match=message):
        PredSimAuxiliary(spec('stem'), **options)


def test_images_of_another_shape_are_refused_by_the_key():
    aux = PredSimAuxiliary(spec('layer2.0'), (32, 32), 512)
    with pytest.raises(ValueError, match=r'input_shape: .* \(16, 16\) at t'):
        aux.loss(feature(32, 8).float(), filled_bank((), {}), samples())
