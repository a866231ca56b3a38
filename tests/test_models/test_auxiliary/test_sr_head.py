# Copyright (c) mmfba authors.
import copy
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from specs import filled_bank, make_spec, run_units
from torch import nn

from mmfba.models.auxiliary import SRHead

pytest.importorskip('mmagic')
from mmagic.models.editors import EDSRNet, MSRResNet  # noqa: E402
from mmagic.models.losses import L1Loss  # noqa: E402

NETS = {
    f'{net.__name__} x{scale}': (net, scale)
    for net, scale in [
        (EDSRNet, 2),
        (EDSRNet, 3),
        (MSRResNet, 2),
        (MSRResNet, 4),
    ]
}
IMAGES = torch.rand(2, 3, 5, 6, generator=torch.Generator().manual_seed(0))


@pytest.fixture(params=NETS)
def net(request):
    torch.manual_seed(0)
    cls, scale = NETS[request.param]
    net = cls(3, 3, mid_channels=8, num_blocks=3, upscale_factor=scale)
    net.init_weights()
    return net


def make(net, in_channels=8, **options):
    name = 'body.1' if isinstance(net, EDSRNet) else 'trunk_net.1'
    spec = make_spec(net, name, head_module=L1Loss(loss_weight=0.5))
    return SRHead(spec, in_channels, **options)


def feature(channels=8):
    rng = torch.Generator().manual_seed(1)
    return torch.rand(2, channels, 5, 6, generator=rng).requires_grad_()


def target(net):
    scale = net.upscale_factor
    rng = torch.Generator().manual_seed(2)
    image = torch.rand(2, 3, 5 * scale, 6 * scale, generator=rng)
    return SimpleNamespace(gt_img=image)


def loss_of(head, net, x):
    bank = filled_bank(head.reads, run_units(net, IMAGES))
    return head.loss((x,), target(net), bank)


def upstream_tail(net, x):
    """From the input of the upsampler to the image, as in mmagic."""
    if isinstance(net, EDSRNet):
        x = net.conv_last(net.upsample(x))
    else:
        x = net.upsample1(x)
        if net.upscale_factor == 4:
            x = net.upsample2(x)
        x = net.conv_last(F.leaky_relu(net.conv_hr(x), 0.1))
    return finish(net, x)


def finish(net, residual):
    if isinstance(net, EDSRNet):
        return residual * net.std + net.mean
    image = F.interpolate(
        IMAGES,
        scale_factor=net.upscale_factor,
        mode='bilinear',
        align_corners=False,
    )
    return residual + image


def l1(net, image):
    return 0.5 * (image - target(net).gt_img).abs().mean()


@pytest.mark.parametrize('mode', ['copy', 'shared'])
def test_tail_of_the_main_network(net, mode):
    head, x = make(net, mode=mode), feature()
    losses = loss_of(head, net, x)
    assert list(losses) == ['loss']
    assert torch.allclose(losses['loss'], l1(net, upstream_tail(net, x)))


def test_slim_tail(net):
    head, x = make(net, in_channels=6), feature(6)
    scale = net.upscale_factor
    conv, shuffle = head.tail
    assert conv.weight.shape == (3 * scale**2, 6, 3, 3)
    residual = F.conv2d(x, conv.weight, conv.bias, padding=1)
    image = residual.new_empty(target(net).gt_img.shape)
    for row in range(scale):  # the pixel shuffle, written out
        for column in range(scale):
            image[:, :, row::scale, column::scale] = residual.unflatten(
                1, (3, scale, scale)
            )[:, :, row, column]
    expected = l1(net, finish(net, image))
    assert torch.allclose(loss_of(head, net, x)['loss'], expected)
    assert isinstance(shuffle, nn.PixelShuffle)


@pytest.mark.parametrize('mode', ['slim', 'copy', 'shared'])
def test_reads_what_the_network_adds(net, mode):
    head = make(net, mode=mode)
    assert head.reads == (('input',) if isinstance(net, MSRResNet) else ())


def tail_parameters(net):
    names = ('upsample', 'conv_hr', 'conv_last')
    return {n: p for n, p in net.named_parameters() if n.startswith(names)}


def test_shared_tail_gets_gradients_and_belongs_to_the_main_network(net):
    head, x = make(net, mode='shared'), feature()
    assert not list(head.parameters()) and not head.state_dict()
    shared = {p for m in head.shared_modules for p in m.parameters()}
    assert shared == set(tail_parameters(net).values())
    loss_of(head, net, x)['loss'].backward()
    assert all(p.grad is not None for p in shared)
    assert all(p.grad is None for p in set(net.parameters()) - shared)
    assert x.grad.abs().sum() > 0


@pytest.mark.parametrize('mode', ['slim', 'copy'])
def test_own_tail_leaves_the_main_network_alone(net, mode):
    head, x = make(net, mode=mode), feature()
    assert head.shared_modules == ()
    assert not set(head.parameters()).intersection(net.parameters())
    loss_of(head, net, x)['loss'].backward()
    assert all(p.grad is None for p in net.parameters())
    assert all(p.grad is not None for p in head.parameters())
    assert x.grad.abs().sum() > 0


def test_copied_tail_has_the_same_modules(net):
    head = make(net, mode='copy')
    names = {n.removeprefix('tail.') for n, _ in head.named_parameters()}
    assert names == set(tail_parameters(net))


@pytest.mark.parametrize('mode', ['slim', 'copy', 'shared'])
def test_deep_copy_uses_the_tail_of_its_own_network(net, mode):
    owner = nn.ModuleDict(dict(net=net, head=make(net, mode=mode)))
    twin = copy.deepcopy(owner)
    with torch.no_grad():
        for p in net.parameters():
            p.zero_()
    x = feature()
    before = l1(net, upstream_tail(twin['net'], x))
    if mode == 'shared':
        got = loss_of(twin['head'], twin['net'], x)['loss']
        assert torch.allclose(got, before)
    loss_of(twin['head'], twin['net'], x)['loss'].backward()
    assert all(p.grad is None for p in owner.parameters())


@pytest.mark.parametrize('mode', ['copy', 'shared'])
def test_tail_of_another_width(net, mode):
    message = (
        f"head.mode='{mode}': the tail takes 8 channels, the auxiliary neck "
        'returns 16'
    )
    with pytest.raises(ValueError, match=message):
        make(net, 16, mode=mode)


def test_unknown_mode(net):
    message = r"head\.mode='thin': choose from \('slim', 'copy', 'shared'\)"
    with pytest.raises(ValueError, match=message):
        make(net, mode='thin')
