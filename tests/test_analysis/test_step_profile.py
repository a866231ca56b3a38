# Copyright (c) mmfba authors.
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from matplotlib.text import Text
from mmengine.structures import BaseDataElement
from torch import nn

from mmfba.analysis.plots import plot_timelines
from mmfba.analysis.step_profile import StepProfile as Profile
from mmfba.analysis.step_profile import profile_step

KB = 1024


@pytest.fixture(autouse=True)
def one_thread():
    # Threads make tiny convolutions many times slower on a busy machine.
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Layers(nn.Module):
    """Two layers on 64 samples of 32 features, each weight of 4 KiB."""

    def __init__(self):
        super().__init__()
        self.a = nn.Linear(32, 32, bias=False)
        self.b = nn.Linear(32, 32, bias=False)
        self.inputs = torch.ones(64, 32)  # 8 KiB
        self.optimizer = torch.optim.SGD(self.parameters(), 0.1, momentum=0.9)

    def step(self):
        hidden = self.a(self.inputs)
        self.b(hidden).sum().backward()
        del hidden
        self.optimizer.step()
        self.optimizer.zero_grad()


def test_profile_step_by_hand():
    model = Layers()
    profile = profile_step(model.step, model, model.optimizer, model.inputs)
    # Two weights, their momentum, the batch.
    assert profile.static_bytes == 4 * 4 * KB + 8 * KB
    # Hidden (8), loss and the seed of its gradient (1/2 each), hidden's
    # gradient (8), both weights' gradients (4 each): as a's backward ends.
    assert profile.activation_bytes == 25 * KB
    assert profile.peak_bytes == max(profile.timeline)
    assert profile.timeline[0] == profile.timeline[-1] == profile.static_bytes
    # Forward of both, weight gradients of both, the input's gradient of b.
    assert profile.flops == 5 * 2 * 64 * 32 * 32
    assert not profile.tags and not profile.peak_by_tag


def test_profile_step_options():
    model = Layers()
    calls = []
    profile = profile_step(
        lambda: calls.append(1),
        model,
        inputs=dict(
            images=[model.inputs, model.inputs[1:]],
            samples=BaseDataElement(gt=BaseDataElement(a=torch.ones(256))),
            boxes=[SimpleNamespace(tensor=torch.ones(256))],
        ),
    )
    assert len(calls) == 2
    assert profile.static_bytes == profile.peak_bytes == 18 * KB
    assert profile.flops == 0
    model.a.weight.grad = torch.ones(32, 32)
    assert profile_step(calls.clear, model).static_bytes == 12 * KB


def test_profile_step_meta():
    with torch.device('meta'):
        meta = Layers()
    real = Layers()
    profiles = [
        profile_step(net.step, net, net.optimizer, net.inputs)
        for net in (meta, real)
    ]
    assert profiles[0] == profiles[1]


def local_step(model):
    """Each layer's backward before the next layer starts."""
    x = model.inputs
    for name, layer in (('0', model.a), ('1', model.b)):
        model.learner.on_module(name)
        x = layer(x)
        x.sum().backward()
        x = x.detach()
    model.optimizer.step()
    model.optimizer.zero_grad()


def test_profile_step_tags():
    model = Layers()
    called = []
    model.learner = SimpleNamespace(on_module=called.append)
    step = partial(local_step, model)
    profile = profile_step(step, model, model.optimizer, model.inputs)
    assert called == list(profile.peak_by_tag) == ['0', '1']
    assert model.learner.on_module == called.append
    assert [name for _, name in profile.tags] == list(profile.peak_by_tag)
    assert max(profile.peak_by_tag.values()) == profile.peak_bytes

    model.learner.on_module = None

    def failing():
        if model.learner.on_module is not None:
            raise RuntimeError('in the traced step')

    with pytest.raises(RuntimeError):
        profile_step(failing, model)
    assert model.learner.on_module is None


def made_up(peak, modules):
    """A step of 100 events, from half the peak up and down again."""
    ramp = np.linspace(peak / 2, peak, 50, dtype=int).tolist()
    starts = np.linspace(0, 98, modules, endpoint=False, dtype=int)
    return Profile(
        peak_bytes=peak,
        static_bytes=peak // 2,
        operators=0,
        syncs=0,
        flops=0,
        timeline=ramp + ramp[::-1],
        tags=[(start, str(i)) for i, start in enumerate(starts)],
        peak_by_tag={},
    )


def texts(figure):
    return {text.get_text() for text in figure.findobj(Text)}


def overlap(a, b):
    return Text.get_window_extent(a).overlaps(Text.get_window_extent(b))


def test_plot_timelines(tmp_path):
    path = tmp_path / 'memory.png'
    figure = plot_timelines(
        dict(BP=made_up(200 * KB**2, 0), FBA=made_up(90 * KB**2, 4)),
        str(path),
        title='A step',
    )
    height, width, _ = pytest.importorskip('mmcv').imread(str(path)).shape
    assert (width, height) == (900, 420)
    assert path.stat().st_size > 10 * KB
    labels = {'BP\n200 MiB, 100%', 'FBA\n90 MiB, 45%', 'module 0', 'module 3'}
    assert labels <= texts(figure)
    assert figure.axes[0].get_title('left') == 'A step'

    figure = plot_timelines(
        dict(a=made_up(3 * KB**3, 0), b=made_up(3 * KB**3, 16)), str(path)
    )
    assert {'a\n3 GiB, 100%', 'b\n3 GiB, 100%', '15'} <= texts(figure)

    figure = plot_timelines(
        dict(a=made_up(3 * KB**3, 4), b=made_up(2 * KB**3, 4)), str(path)
    )
    first, second = (
        t for t in figure.axes[0].texts if t.get_text() == 'module 0'
    )
    assert not overlap(first, second)


def test_names_in_a_plot_lie_on_nothing(tmp_path):
    narrow = made_up(2 * KB**3, 4)
    end = narrow.tags[1][0]
    narrow.tags[:] = [(0, '0'), (1, '1'), (end // 2, '2'), (end, '3')]
    name = 'mmfba, 4 local modules: stem image by image, checkpointing'
    figure = plot_timelines(
        {'plain training': made_up(3 * KB**3, 0), name: narrow},
        str(tmp_path / 'memory.png'),
    )
    axes = figure.axes[0]
    named = [t for t in axes.texts if t.get_text()]
    for text in named:
        box = text.get_window_extent()
        assert not any(overlap(text, t) for t in named if t is not text)
        for line in axes.lines:
            tops = line.get_transform().transform(line.get_xydata())[:, 1]
            assert box.y0 > tops.max()
    assert figure.legends[0].get_window_extent().width < 300


def test_a_plot_needs_an_arm(tmp_path):
    path = tmp_path / 'memory.png'
    with pytest.raises(ValueError, match='at least one arm'):
        plot_timelines({}, str(path))
