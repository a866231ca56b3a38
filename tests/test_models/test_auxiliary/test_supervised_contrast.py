# Copyright (c) mmfba authors.
import torch

from mmfba.models.auxiliary.supervised_contrast import supervised_contrast


def equation(embeddings, labels, temperature):
    """Image by image, pair by pair."""
    z = [e / e.square().sum().sqrt() for e in embeddings]
    total, n = 0, len(z)
    for i in range(n):
        others = [a for a in range(n) if a != i]
        scale = sum((z[i] @ z[a] / temperature).exp() for a in others)
        same = [p for p in others if labels[p] == labels[i]]
        for p in same:
            prob = (z[i] @ z[p] / temperature).exp() / scale
            total = total - prob.log() / len(same)
    return total / n


def test_loss_and_gradient_are_those_of_the_equation():
    labels = torch.tensor([1, 4, 1, 7, 4, 1])  # 7 stands alone
    torch.manual_seed(0)
    own = torch.randn(6, 5, dtype=torch.double, requires_grad=True)
    other = own.detach().clone().requires_grad_()
    loss = supervised_contrast(own, labels)
    expected = equation(other, labels, temperature=0.07)
    torch.testing.assert_close(loss, expected)
    (grad,) = torch.autograd.grad(loss, own)
    torch.testing.assert_close(grad, torch.autograd.grad(expected, other)[0])


def test_without_any_pair_it_is_zero():
    embeddings = torch.randn(3, 4, requires_grad=True)
    loss = supervised_contrast(embeddings, torch.tensor([0, 1, 2]))
    loss.backward()
    assert loss == 0 and not embeddings.grad.any()


def test_is_in_single_precision_under_autocast():
    x = torch.randn(4, 8)
    labels = torch.tensor([0, 0, 1, 1])
    with torch.autocast('cpu', torch.bfloat16):
        loss = supervised_contrast(x, labels)
    assert loss.equal(supervised_contrast(x, labels))
