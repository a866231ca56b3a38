# Copyright (c) mmfba authors.
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F

from mmfba.models.auxiliary.necks.fusion import (
    OPERATORS,
    Fusion,
    readable_entries,
)


def make(operator, bank_channels, pooled):
    torch.manual_seed(0)
    return Fusion(operator, 4, bank_channels, pooled).double()


def rand(*shape):
    return torch.rand(*shape, dtype=torch.float64)


def conv(layer, x):
    """A 1x1 conv, written as the linear map at every pixel."""
    y = torch.einsum('oi,nihw->nohw', layer.weight[:, :, 0, 0], x)
    return y + layer.bias.view(-1, 1, 1)


def linear(layer, x):
    return x @ layer.weight.T + layer.bias


def normalised(x):
    """Layer normalisation with the weights it starts with."""
    mean = x.mean(dim=1, keepdim=True)
    variance = ((x - mean) ** 2).mean(dim=1, keepdim=True)
    return (x - mean) / (variance + 1e-5).sqrt()


def transcription(fusion, layer, x, entries):
    """The operators as the class describes them, of entries of size x."""
    if fusion.operator == 'concat':
        return layer(fusion.project, torch.cat([x, *entries], 1))
    result = x
    for i, b in enumerate(entries):
        if b.shape[1] != x.shape[1]:
            b = layer(fusion.projects[i], b)
        if fusion.operator == 'gate':
            g = layer(fusion.gates[i], torch.cat([x, b], 1))
            b = b / (1 + torch.exp(-g))
        result = result + b
    return result


@pytest.mark.parametrize('operator', ['add', 'concat', 'gate'])
@pytest.mark.parametrize('channels', [[4], [6], [3, 4, 5]])
def test_maps(operator, channels):
    fusion = make(operator, channels, pooled=False)
    x, entries = rand(2, 4, 5, 6), [rand(2, c, 5, 6) for c in channels]
    expected = transcription(fusion, conv, x, entries)
    got = fusion(x, entries)
    assert got.shape == x.shape
    assert torch.allclose(got, expected, rtol=0, atol=1e-12)
    assert not torch.allclose(got, x)


@pytest.mark.parametrize('operator', ['add', 'concat', 'gate'])
@pytest.mark.parametrize('channels', [[4], [6], [3, 4, 5]])
def test_pooled_vectors(operator, channels):
    fusion = make(operator, channels, pooled=True)
    x, entries = rand(2, 4), [10 * rand(2, c) + 5 for c in channels]
    expected = transcription(
        fusion, linear, x, [normalised(b) / len(channels) for b in entries]
    )
    got = fusion(x, entries)
    assert got.shape == x.shape
    assert torch.allclose(got, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize('operator', OPERATORS)
@pytest.mark.parametrize('pooled', [False, True])
def test_without_entries(operator, pooled):
    fusion = make(operator, [], pooled)
    x = rand(2, 4) if pooled else rand(2, 4, 5, 6)
    assert fusion(x, []) is x
    assert not list(fusion.parameters())


def test_none_reads_nothing():
    fusion = make('none', [4], pooled=False)
    x = rand(2, 4, 5, 6)
    assert fusion(x, [rand(2, 4, 5, 6)]) is x
    assert not list(fusion.parameters())


def test_larger_maps_are_averaged():
    fusion, x, b = make('add', [4], False), rand(2, 4, 3, 4), rand(2, 4, 6, 12)
    averaged = b.unflatten(2, (3, 2)).unflatten(4, (4, 3)).mean(dim=(3, 5))
    assert torch.allclose(fusion(x, [b]), x + averaged, rtol=0, atol=1e-12)


def test_smaller_maps_are_repeated():
    fusion, x, b = make('add', [4], False), rand(2, 4, 6, 8), rand(2, 4, 3, 4)
    repeated = b.repeat_interleave(2, 2).repeat_interleave(2, 3)
    assert torch.equal(fusion(x, [b]), x + repeated)


def test_sizes_that_do_not_divide():
    fusion, x = make('add', [4], False), rand(2, 4, 5, 7)
    for size in [(10, 13), (3, 4), (9, 7)]:
        assert fusion(x, [rand(2, 4, *size)]).shape == x.shape
    b = rand(2, 4, 10, 13)
    expected = x + F.adaptive_avg_pool2d(b, (5, 7))
    assert torch.allclose(fusion(x, [b]), expected)


def test_maps_that_are_larger_in_height_only_are_averaged():
    fusion, x, b = make('add', [4], False), rand(2, 4, 3, 4), rand(2, 4, 6, 4)
    averaged = (b[:, :, ::2] + b[:, :, 1::2]) / 2
    assert torch.allclose(fusion(x, [b]), x + averaged, rtol=0, atol=1e-12)


def test_unknown_operator():
    message = r"neck\.fusion='sum': choose from \('add', 'concat', 'gate'"
    with pytest.raises(ValueError, match=message):
        Fusion('sum', 4, [], False)


def test_readable_entries():
    maps = SimpleNamespace(readable=('input', 'stem'))
    pooled = SimpleNamespace(readable=('stem.pooled',))
    assert readable_entries(maps, pooled=False) == ('input', 'stem')
    assert readable_entries(pooled, pooled=True) == ('stem.pooled',)
    with pytest.raises(ValueError, match="'input' cannot .* 'input.pooled'"):
        readable_entries(maps, pooled=True)
    with pytest.raises(ValueError, match="'stem.pooled' cannot .* tap 'stem'"):
        readable_entries(pooled, pooled=False)
