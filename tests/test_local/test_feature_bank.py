# Copyright (c) mmfba authors.
import weakref

import pytest
import torch

from mmfba.local import FeatureBank


def feature(channels=2):
    return torch.rand(3, channels, 4, 5)


def test_keeps_only_what_is_read():
    bank = FeatureBank(dict(a=0))
    x = feature()
    bank.put('a', x)
    bank.put('b', x)
    assert list(bank) == ['a'] and len(bank) == 1
    assert bank.get('a') is x
    assert bank.read_names == ['a']


def test_drops_after_the_last_reader():
    bank = FeatureBank(dict(a=0, b=1, c=2))
    for name in 'abc':
        bank.put(name, feature())
    bank.cut(-1)  # a frozen prefix ends before any module
    assert list(bank) == ['a', 'b', 'c']
    bank.cut(0)
    assert list(bank) == ['b', 'c']
    bank.cut(1)
    assert list(bank) == ['c']
    bank.cut(2)
    assert len(bank) == 0


def test_is_not_filled_again_after_the_last_reader():
    # A two-pass step puts every feature twice.
    bank = FeatureBank(dict(a=0, b=1))
    bank.put('a', feature())
    bank.put('b', feature())
    bank.cut(0)
    bank.put('a', feature())
    assert list(bank) == ['b']


def test_live_inside_the_module_and_detached_at_the_cut():
    bank = FeatureBank({'a': 1, 'a.pooled': 1})
    weight = torch.ones(2, 1, 1, requires_grad=True)
    x = feature() * weight
    bank.put('a', x)
    assert bank.get('a').grad_fn is x.grad_fn
    assert bank.get('a.pooled').requires_grad
    bank.cut(0)
    for name in bank:
        assert not bank.get(name).requires_grad
    assert torch.equal(bank.get('a'), x)
    assert bank.get('a').data_ptr() == x.data_ptr()


def test_cut_lets_the_graph_go():
    bank = FeatureBank(dict(a=1))
    x = feature().requires_grad_() * 2
    bank.put('a', x)
    live = weakref.ref(x)
    del x
    assert live() is not None
    bank.cut(0)
    assert live() is None and len(bank) == 1


def test_pooled_is_the_average_over_pixels():
    bank = FeatureBank({'a.pooled': 0})
    x = feature()
    bank.put('a', x)
    assert list(bank) == ['a.pooled']
    expected = x.double().sum(dim=3).sum(dim=2) / 20
    assert bank.get('a.pooled').shape == (3, 2)
    assert torch.allclose(bank.get('a.pooled').double(), expected)


@pytest.mark.parametrize('cut', [False, True])
def test_overwriting_in_place_is_found(cut):
    bank = FeatureBank({'a': 1, 'a.pooled': 1})
    x = feature()
    bank.put('a', x)
    if cut:
        bank.cut(0)
    x.relu_()
    with pytest.raises(RuntimeError, match="'a' was overwritten in place"):
        bank.get('a')
    assert bank.get('a.pooled').shape == (3, 2)  # computed before


def test_error_names_what_is_held():
    bank = FeatureBank(dict(a=0, b=0, c=0))
    bank.put('a', feature())
    bank.put('c', feature())
    message = r"does not hold 'b' at this point .*; it holds \['a', 'c'\]"
    with pytest.raises(KeyError, match=message):
        bank.get('b')


def test_empty_before_and_after_a_step():
    bank = FeatureBank(dict(a=9))
    bank.put('a', feature())
    with bank.step() as opened:
        assert opened is bank and len(bank) == 0
        bank.put('a', feature())
        assert len(bank) == 1
    assert len(bank) == 0 and bank.nbytes == 0


def test_empty_after_an_exception():
    bank = FeatureBank(dict(a=9))
    with pytest.raises(ZeroDivisionError), bank.step():
        bank.put('a', feature())
        _ = 1 / 0
    assert len(bank) == 0


def test_nbytes():
    bank = FeatureBank({'a': 0, 'b': 0, 'b.pooled': 1})
    bank.put('a', feature(2))
    bank.put('b', feature(7).double())
    assert bank.nbytes == 4 * 3 * 2 * 20 + 8 * 3 * 7 * 20 + 8 * 3 * 7
    bank.cut(0)
    assert bank.nbytes == 8 * 3 * 7
