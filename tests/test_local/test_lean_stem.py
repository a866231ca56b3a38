# Copyright (c) mmfba authors.
import copy

import pytest
import torch
from torch import nn

from mmfba.local.lean_stem import check_lean_stem, lean_stem
from mmfba.local.memory import PeakTracker


def make_stem(momentum=0.1, **options):
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(6, momentum=momentum, **options)
    nn.init.uniform_(norm.weight, 0.5, 2)
    nn.init.normal_(norm.bias)
    stem = nn.Sequential(
        nn.Conv2d(3, 6, 7, 2, 3, bias=False),
        norm,
        nn.ReLU(inplace=True),
        nn.MaxPool2d(3, 2, 1),
    )
    return stem.double()


class StandardisedConv(nn.Conv2d):
    """As mmcv's ConvWS2d, it convolves with a function of its weight."""

    def _conv_forward(self, x, weight, bias):
        return super()._conv_forward(x, weight - weight.mean(), bias)


@pytest.mark.parametrize('training', [True, False])
@pytest.mark.parametrize('momentum', [0.1, None])
@pytest.mark.parametrize('size', [(3, 33, 40), (1, 16, 24)])
def test_output_gradients_and_statistics(size, momentum, training):
    plain = make_stem(momentum)
    lean = copy.deepcopy(plain)
    for stem in (plain, lean):
        stem.train(training)
    for step in range(2):
        x = torch.randn(size[0], 3, *size[1:], dtype=torch.float64) + step
        expected = plain(x)
        out = lean_stem(tuple(lean), x)
        torch.testing.assert_close(out, expected, rtol=1e-10, atol=1e-12)
        grad = torch.randn_like(out)
        expected.backward(grad)
        out.backward(grad)
    for name, p in plain.named_parameters():
        torch.testing.assert_close(
            lean.get_parameter(name).grad, p.grad, rtol=1e-10, atol=1e-11
        )
    for name, value in plain.named_buffers():
        torch.testing.assert_close(
            lean.get_buffer(name), value, rtol=1e-10, atol=1e-12
        )


def test_autocast_changes_nothing_in_the_backward_either():
    stems = [make_stem().float() for _ in range(2)]
    x = torch.randn(3, 3, 33, 40)
    for stem, enabled in zip(stems, (False, True)):
        with torch.autocast('cpu', torch.bfloat16, enabled=enabled):
            out = lean_stem(tuple(stem), x)
            out.backward(torch.ones_like(out))
    for name, p in stems[0].named_parameters():
        assert stems[1].get_parameter(name).grad.equal(p.grad), name


@pytest.mark.parametrize('device', ['cpu', 'meta'])
def test_a_fraction_of_the_memory(device):
    stem = make_stem().to(device)
    x = torch.zeros(8, 3, 64, 64, dtype=torch.float64, device=device)
    peaks = []
    for forward in (stem, lambda x: lean_stem(tuple(stem), x)):
        with PeakTracker().track(x, stem) as tracker:
            before = tracker.current
            out = forward(x)
            kept = tracker.current - before - out.nbytes
            out.sum().backward()
            peaks.append((kept, tracker.peak - before))
        stem.zero_grad()
    assert peaks[1][0] < 0.02 * peaks[0][0]
    assert peaks[1][1] < 0.5 * peaks[0][1]


def test_no_gradients_no_graph():
    stem = make_stem()
    with torch.no_grad():
        assert lean_stem(tuple(stem), torch.zeros(2, 3, 16, 16).double()).shape
    assert stem[1].num_batches_tracked == 1


@pytest.mark.parametrize(
    'parts',
    [
        lambda s: s[:3],
        lambda s: nn.Sequential(s[0], nn.GroupNorm(2, 6), s[2], s[3]),
        lambda s: nn.Sequential(nn.Conv2d(3, 6, 3), s[1], s[2], s[3]),
        lambda s: nn.Sequential(
            StandardisedConv(3, 6, 3, bias=False), s[1], s[2], s[3]
        ),
    ],
)
def test_other_stems_are_refused(parts):
    with pytest.raises(ValueError, match='lean_stem: the stem is'):
        check_lean_stem(tuple(parts(make_stem())))


@pytest.mark.parametrize(
    'options, words',
    [
        (dict(padding=3, padding_mode='reflect'), "padding_mode='reflect'"),
        (dict(padding='same'), "padding='same'"),
        (dict(padding='valid'), "padding='valid'"),
    ],
)
def test_other_padding_is_refused(options, words):
    stem = make_stem()
    stem[0] = nn.Conv2d(3, 6, 7, bias=False, **options)
    with pytest.raises(ValueError, match='lean_stem.*' + words):
        check_lean_stem(tuple(stem))
