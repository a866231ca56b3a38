# Copyright (c) mmfba authors.
import pytest
import torch
from mmengine.model import BaseModel

from mmfba.local.losses import (
    log_values,
    reach_with_zero_gradient,
    sum_losses,
    weigh_losses,
)


def make_losses():
    """As OpenMMLab's heads return them."""
    rng = torch.Generator().manual_seed(0)

    def rand(*shape):
        x = torch.rand(shape, generator=rng, dtype=torch.float64)
        return x.requires_grad_() * 1

    return dict(
        loss_cls=[rand(), rand(3)],
        loss_bbox=(rand(2, 2), rand()),
        loss=rand(4),
        decode_loss=rand(),
        acc=rand(),
        num_pos=7.0,
    )


def tensors(losses):
    """What mmengine can parse."""
    return {
        n: list(v) if isinstance(v, tuple) else v
        for n, v in losses.items()
        if 'num_pos' not in n
    }


def test_sum_is_that_of_mmengine():
    losses = tensors(make_losses())
    expected, _ = BaseModel.parse_losses(None, losses)
    assert torch.equal(sum_losses(losses), expected)
    assert sum_losses(losses).dim() == 0


def test_sum_of_nothing():
    with pytest.raises(ValueError, match=r'no key with .*"loss": \[\'acc\'\]'):
        sum_losses(dict(acc=torch.ones(())))


def test_weigh():
    losses = make_losses()
    weighed = weigh_losses(losses, 0.25)
    assert torch.allclose(sum_losses(weighed), 0.25 * sum_losses(losses))
    assert weighed['acc'] is losses['acc']
    assert weighed['num_pos'] == 7.0
    assert weigh_losses(losses, 1.0) is losses


def test_log_values():
    losses = make_losses()
    logs = log_values(losses, 'aux3/')
    assert set(logs) == {
        f'aux3/{name}'
        for name in ('cls', 'bbox', 'total', 'decode', 'acc', 'num_pos')
    }
    assert not any('loss' in name for name in logs)
    assert torch.equal(logs['aux3/total'], losses['loss'])
    assert [t.item() for t in logs['aux3/bbox'][:0]] == []
    flat = [
        t
        for v in logs.values()
        for t in (v if isinstance(v, (list, tuple)) else [v])
    ]
    assert len(flat) == 8
    assert not any(torch.is_tensor(t) and t.requires_grad for t in flat)
    total, _ = BaseModel.parse_losses(
        None,
        {
            **tensors(losses),
            **{n: v for n, v in logs.items() if n != 'aux3/num_pos'},
        },
    )
    assert torch.equal(total, sum_losses(losses))


@pytest.mark.parametrize('name', ['loss_cls', 'loss'])
def test_reaches_with_zero_gradient(name):
    losses = make_losses()
    losses = {'acc': losses['acc'], name: losses[name]}
    parameters = [torch.ones(2, 3, requires_grad=True) for _ in range(2)]
    touched = reach_with_zero_gradient(losses, parameters)
    assert touched['acc'] is losses['acc']
    assert torch.equal(sum_losses(touched), sum_losses(losses))
    sum_losses(touched).backward()
    for p in parameters:
        assert torch.equal(p.grad, torch.zeros(2, 3))
