# Copyright (c) mmfba authors.
from weakref import ref

import pytest
import torch
from torch import nn
from toy_network import Backbone
from toy_networks import Block, LongSkip, Pyramid, Sometimes, Tokens

from mmfba.local.call import tensors_of
from mmfba.local.interception import Cuts, Interception
from mmfba.local.ownership import find_owners
from mmfba.local.probe import probe
from mmfba.local.recompute import recomputing
from mmfba.local.replacement import replaced
from mmfba.local.unit_finder import find_units

IMAGES = torch.rand(
    2, 3, 32, 24, generator=torch.Generator().manual_seed(0)
).double()


def cut(network, names):
    """Owners, where the network is cut after the units of these names."""
    seen = probe(network, [32])
    units = {unit.name: unit for unit in find_units(seen).units}
    return find_owners(seen, [units[name] for name in names])


def local_loss(output):
    """Any function of what is handed to an auxiliary network."""
    return sum((t.double() ** 2).mean() for t in tensors_of(output))


def step(network, cuts, immediate=True):
    """Gradients by name, and what the network returned."""
    losses = []

    def on_cut(index, output):
        loss = local_loss(output)
        loss.backward() if immediate else losses.append(loss)

    network.zero_grad()
    with Interception(network, cuts, on_cut):
        outputs = list(tensors_of(network(IMAGES)))
    (sum(losses) + sum(local_loss(o) for o in outputs)).backward()
    grads = {n: p.grad for n, p in network.named_parameters()}
    return grads, [o.detach() for o in outputs]


def detached_pyramid(network, images, stops):
    """The forward of Pyramid with the paper's equation written into it: the
    local losses, and the loss of outputs of which only the module's own part
    has a graph."""
    losses, outs = [], []
    x = network.relu(network.bn1(network.conv1(images)))
    for i, stage in enumerate(network.stages):
        for j, block in enumerate(stage):
            x = block(x)
            if f'stages.{i}.{j}' in stops:
                losses.append(local_loss(x))
                x = x.detach()
        # Where the stage's end is in an earlier module, its norm is trained
        # by the main loss, from data alone.
        live = len(losses) == len(stops)
        out = getattr(network, f'norm{i}')(x if live else x.detach())
        outs.append(out.permute(0, 2, 3, 1) if network.permuted else out)
        if i < 2:
            x = network.downs[i](x)
    return losses, outs


@pytest.mark.parametrize('permuted', [True, False])
@pytest.mark.parametrize(
    'stops',
    [
        ['stages.0.1', 'stages.1.1'],
        ['stages.0.0', 'stages.1.0'],  # norms in the middle of a module
        ['stages.0.0', 'stages.2.0'],
    ],
)
def test_gradients_of_a_pyramid_are_those_of_equation_1(stops, permuted):
    torch.manual_seed(0)
    network = Pyramid(permuted=permuted).double()
    plain = [o.detach() for o in network(IMAGES)]
    owners = cut(network, stops)
    grads, outputs = step(network, owners.cuts)
    for output, expected in zip(outputs, plain):
        assert output.equal(expected)
    losses, outs = detached_pyramid(network, IMAGES, stops)
    network.zero_grad()
    (sum(losses) + sum(local_loss(o) for o in outs)).backward()
    for name, parameter in network.named_parameters():
        assert grads[name] is not None, name
        torch.testing.assert_close(
            grads[name], parameter.grad, rtol=1e-12, atol=1e-14, msg=name
        )


@pytest.mark.parametrize(
    'network, stops, skips, aside, closed',
    [
        (Pyramid(), ['stages.0.1', 'stages.1.1'], (), (), ()),
        (Pyramid(), ['stages.0.0', 'stages.2.0'], (), ('norm0', 'norm1'), ()),
        (LongSkip(), ['body.1', 'body.3'], ('first',), (), ()),
        (Tokens(), ['layers.0', 'layers.3'], (), (), ()),
    ],
)
def test_what_has_to_be_detached(network, stops, skips, aside, closed):
    cuts = cut(network, stops).cuts
    assert (cuts.skips, cuts.aside, cuts.closed) == (skips, aside, closed)


@pytest.mark.parametrize('network', [Pyramid(), LongSkip(), Tokens()])
def test_every_parameter_has_one_owner_and_no_gradient_crosses(network):
    network = network.double()
    cuttable = [
        u.name for u in find_units(probe(network, [32])).units if u.cuttable
    ]
    owners = cut(network, cuttable[:3])
    names = {name for name, _ in network.named_parameters()}
    assert sum(map(len, owners.owned)) == len(set().union(*owners.owned))
    for index in range(3):
        network.zero_grad()

        def on_cut(i, output, index=index):
            if i == index:
                local_loss(output).backward()

        with Interception(network, owners.cuts, on_cut):
            outputs = list(tensors_of(network(IMAGES)))
        reached = {
            n for n, p in network.named_parameters() if p.grad is not None
        }
        assert reached == owners.owned[index]
    network.zero_grad()
    sum(local_loss(o) for o in outputs).backward()
    reached = {n for n, p in network.named_parameters() if p.grad is not None}
    assert reached == names - set().union(*owners.owned)


@pytest.mark.parametrize('network', [Pyramid(), LongSkip(), Tokens()])
def test_immediate_equals_summed_bit_for_bit(network):
    network = network.double()
    cuttable = [
        u.name for u in find_units(probe(network, [32])).units if u.cuttable
    ]
    cuts = cut(network, cuttable[:3]).cuts
    now, outputs = step(network, cuts)
    later, same = step(network, cuts, immediate=False)
    for name, grad in now.items():
        assert grad.equal(later[name]), name
    assert all(a.equal(b) for a, b in zip(outputs, same))


@pytest.mark.parametrize('fails', [False, True])
def test_no_hook_outlives_the_context(fails):
    network = Pyramid().double()
    cuts = cut(network, ['stages.0.0', 'stages.1.0']).cuts

    def on_cut(index, output):
        if fails:
            raise ZeroDivisionError

    try:
        with Interception(network, cuts, on_cut):
            network(IMAGES)
    except ZeroDivisionError:
        assert fails
    for module in network.modules():
        assert not module._forward_hooks and not module._forward_pre_hooks


@pytest.mark.parametrize(
    'how, message',
    [
        ('skipped', "unit 'body.2', after which .* out of turn"),
        ('twice', "unit 'body.2', after which .* out of turn, or twice"),
        ('reentrant', "unit 'body.2', .* runs without gradients"),
    ],
)
def test_a_unit_that_does_not_run_once(how, message):
    network = Sometimes().double()
    cuts = cut(network, ['body.0', 'body.2', 'body.4']).cuts
    step(network, cuts)
    network.how = how
    if how == 'skipped':
        message = message.replace('body.2', 'body.4')
    with pytest.raises(RuntimeError, match=message):
        step(network, cuts)


def test_a_last_cut_that_was_skipped():
    network = Sometimes().double()
    cuts = cut(network, ['body.0', 'body.2']).cuts
    network.how = 'skipped'
    with pytest.raises(RuntimeError, match="'body.2', .* did not run"):
        step(network, cuts)


def test_a_network_that_runs_twice():
    network = LongSkip().double()
    cuts = cut(network, ['body.0']).cuts
    with pytest.raises(RuntimeError, match='runs more than once'):
        with Interception(network, cuts, lambda *_: None):
            network(IMAGES)
            network(IMAGES)


def test_taps_are_bypasses_live_and_before_the_cut():
    network = LongSkip().double()
    cuts, heard = cut(network, ['body.1']).cuts, []
    taps = ('body.0', 'body.1', 'body.3')
    with Interception(
        network,
        cuts,
        lambda index, out: heard.append((index, out.requires_grad)),
        taps,
        lambda name, out: heard.append((name, out.requires_grad)),
    ):
        network(IMAGES)
    assert heard == [
        ('body.0', True),
        ('body.1', True),
        (0, True),
        ('body.3', True),
    ]


def handed(network, **kwargs):
    """Outputs and gradients with ``b`` handed on to ``c``."""
    heard = []
    cuts = Cuts(bypasses=(('b', 'c'),))
    with Interception(network, cuts, heard.append, **kwargs):
        return network(IMAGES)


def test_what_is_bypasses_is_not_kept_by_the_network():
    torch.manual_seed(0)
    network = Backbone().double()
    network(IMAGES)[1].square().sum().backward()
    expected = {n: p.grad.clone() for n, p in network.named_parameters()}
    plain = network(IMAGES)
    network.zero_grad()
    tapped = {}
    b, c = handed(network, taps=('b',), on_tap=tapped.__setitem__)
    assert b.shape == plain[0].shape and b.untyped_storage().nbytes() == 8
    assert c.equal(plain[1]) and tapped['b'].equal(plain[0])
    c.square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad.equal(expected[name]), name
    assert network(IMAGES)[0].equal(plain[0])  # nothing of it stays


def test_nobody_keeps_what_a_recomputed_unit_was_given():
    network = Backbone().double()
    made, alive = [], []
    anatomy = find_units(probe(network, [32]))
    network.b.register_forward_hook(lambda m, a, o: made.append(ref(o)))
    recomputed = anatomy.units[3:]
    cuts = Cuts(bypasses=anatomy.bypasses(('c',), recomputed))

    def loss(module, args, out):
        out.sum().backward()
        alive.append(made[0]() is not None)

    with replaced(recomputing(network, recomputed)):
        with Interception(network, cuts, None):
            network.c.register_forward_hook(loss)
            network(IMAGES)
    assert alive == [False]
    assert network.b[0].weight.grad is not None


def test_a_network_that_changes_what_is_bypasses():
    class Scales(Backbone):
        def forward(self, x):
            b = self.b(self.a(self.stem(x)))
            return b, self.c(2 * b)

    with pytest.raises(RuntimeError, match='Scales does not hand its'):
        handed(Scales().double())
    anatomy = find_units(probe(Scales(), [32]))
    assert [u.reader for u in anatomy.units] == ['a', 'b', '', '']


def test_who_alone_reads_a_unit():
    readers = {
        type(n): [u.reader for u in find_units(probe(n, [32])).units]
        for n in (Backbone(), LongSkip())
    }
    assert readers[Backbone] == ['a', 'b', 'c', '']
    assert '' in readers[LongSkip][:1]  # its stem is read again at the end
    units = find_units(probe(Backbone(), [32]))
    assert units.bypasses(('c',), ()) == (('b', 'c'),)
    assert units.bypasses(('b', 'c'), units.units) == (
        ('stem', 'a'),
        ('a', 'b'),
    )


class Overwrites(LongSkip):
    """It adds to what a module returned, in place."""

    def forward(self, x):
        first = self.first(x)
        x = self.after(self.body(first))
        x += first
        return self.last(x)


class Beside(nn.Module):
    """A skip that blocks read too, made beside the first of them."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.side = nn.Conv2d(4, 4, 1)
        self.body = nn.ModuleList(Block(4) for _ in range(5))

    def forward(self, x):
        x = self.stem(x)
        side = self.side(x)
        x = self.body[0](x) + side
        for block in self.body[1:]:
            x = block(x)
        return x + side


def test_what_is_overwritten_is_not_handed_past_the_network():
    units = {u.name: u for u in find_units(probe(Overwrites(), [32])).units}
    assert units['after'].reader == ''
    assert units['body.1'].reader == 'body.2'


def test_what_is_made_beside_the_module_is_refused():
    network = Beside()
    names = [u.name for u in find_units(probe(network, [32])).units]
    assert 'body.1' in names
    with pytest.raises(ValueError, match="past the cut after 'body.1' was"):
        cut(network, ['body.1'])
