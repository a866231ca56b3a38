# Copyright (c) mmfba authors.
"""What holds for every bank, cut and chunk, not for chosen examples alone."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_network import gradients, make_batch, make_model, total

from mmfba.local import FeatureBank, ImageWise, backward_by_chunks

quick = settings(max_examples=25, deadline=None, derandomize=True)
NAMES = ('a', 'a.pooled', 'b', 'b.pooled', 'c')
UNITS = ('stem', 'a', 'b', 'c')
INPUTS, TARGETS = make_batch()


@quick
@given(
    st.dictionaries(st.sampled_from(NAMES), st.integers(0, 3)),
    st.lists(st.sampled_from(['put a', 'put b', 'put c', 'cut']), max_size=12),
)
def test_the_bank_holds_what_is_still_read(readers, events):
    """Against a model of it: names put before, whose last reader is ahead."""
    bank, expected, module = FeatureBank(readers), {}, 0
    with bank.step():
        for event in events:
            if event == 'cut':
                bank.cut(module)
                module += 1
                expected = {
                    n: x for n, x in expected.items() if readers[n] >= module
                }
                assert not any(bank.get(name).requires_grad for name in bank)
                continue
            name = event[-1]
            x = torch.rand(2, 3, 2, 2, requires_grad=True) * 1
            bank.put(name, x)
            for key, y in ((name, x), (f'{name}.pooled', x.mean((2, 3)))):
                if readers.get(key, -1) >= module:
                    expected[key] = y
            assert sorted(bank) == sorted(expected)
            assert all(bank.get(n).equal(x) for n, x in expected.items())
        nbytes = sum(x.nbytes for x in expected.values())
        assert bank.nbytes == nbytes
    assert len(bank) == 0 and bank.nbytes == 0


@st.composite
def losses(draw):
    """Features of n images, some frozen or missing, and a chunk size."""
    num = draw(st.integers(1, 5))
    kinds = draw(
        st.lists(
            st.sampled_from(['live', 'frozen', 'none']),
            min_size=1,
            max_size=3,
        ).filter(lambda kinds: 'live' in kinds)
    )
    return num, kinds, draw(st.integers(1, 7))


@quick
@given(losses())
def test_chunks_give_the_gradients_of_the_batch(case):
    num, kinds, size = case
    rng = torch.Generator().manual_seed(0)

    def rand(*shape):
        return torch.rand(shape, generator=rng, dtype=torch.float64)

    source = rand(num, 3).requires_grad_()
    weight = rand(3, 3).requires_grad_()
    scale = rand(num)
    features = tuple(
        dict(live=source * (i + 1), frozen=source.detach(), none=None)[kind]
        for i, kind in enumerate(kinds)
    )

    def loss(pieces, rows):
        terms = [(p @ weight).tanh().sum(1) for p in pieces if p is not None]
        return dict(loss=(sum(terms) * scale[rows]).sum())

    loss(features, slice(0, num))['loss'].backward()
    expected = [source.grad, weight.grad]
    source.grad = weight.grad = None
    features = tuple(
        dict(live=source * (i + 1), frozen=source.detach(), none=None)[kind]
        for i, kind in enumerate(kinds)
    )
    backward_by_chunks(ImageWise(features, loss), size, torch.Tensor.backward)
    for found, grad in zip((source.grad, weight.grad), expected):
        torch.testing.assert_close(found, grad, rtol=1e-12, atol=1e-14)


@st.composite
def cut_networks(draw):
    """Local modules of the toy network and what their networks read."""
    stops = sorted(draw(st.sets(st.integers(1, 3)))) + [4]
    modules = tuple(zip([0, *stops[:-1]], stops))
    reads = {
        i: draw(
            st.lists(
                st.sampled_from(['input', *UNITS[: stop - 1]]),
                unique=True,
                max_size=2,
            )
        )
        for i, (_, stop) in enumerate(modules[:-1])
    }
    return modules, {i: names for i, names in reads.items() if names}


@quick
@given(cut_networks(), st.sampled_from(['causal', 'two_pass']))
def test_immediate_is_summed_and_the_bank_is_empty(case, timing):
    modules, reads = case
    results = []
    for backward in ('immediate', 'summed'):
        model = make_model(modules, reads, backward=backward, timing=timing)
        total(model.loss(INPUTS, TARGETS)).backward()
        assert len(model.learner.bank) == 0
        results.append(gradients(model))
    immediate, summed = results
    assert immediate.keys() == summed.keys()
    for name, value in immediate.items():
        torch.testing.assert_close(value, summed[name], rtol=1e-10, atol=1e-12)
