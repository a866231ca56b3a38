# Copyright (c) mmfba authors.
"""How similar two networks' features are: linear CKA over mini-batches."""

from collections.abc import Sequence

import torch
from torch import Tensor


class MinibatchCKA:
    r"""Linear centered kernel alignment of each unit with each.

    .. math::
        \mathrm{CKA}(X, Y) = \frac{\sum_b \mathrm{HSIC}_1(K_b, L_b)}
        {\sqrt{\sum_b \mathrm{HSIC}_1(K_b, K_b)}
        \sqrt{\sum_b \mathrm{HSIC}_1(L_b, L_b)}},
        \qquad K_b = X_b X_b^T, \; L_b = Y_b Y_b^T

    The sums run over mini-batches (eq. 3 of Nguyen et al., `Do Wide and Deep
    Networks Learn the Same Things? <https://arxiv.org/abs/2010.15327>`_,
    2021); CKA is that of Kornblith et al., `Similarity of Neural Network
    Representations Revisited <https://arxiv.org/abs/1905.00414>`_ (2019). It
    is 1 for features that are equal up to rotation, scale and shift.
    """

    def __init__(self) -> None:
        self._cross: Tensor = torch.tensor(0.0)
        self._self_x: Tensor = torch.tensor(0.0)
        self._self_y: Tensor = torch.tensor(0.0)

    def update(self, xs: Sequence[Tensor], ys: Sequence[Tensor]) -> None:
        """Add a batch: features of both networks' units, each (N, ...)."""
        kx, ky = (torch.stack([_gram(f) for f in part]) for part in (xs, ys))
        self._cross = self._cross + unbiased_hsic(kx, ky)
        self._self_x = self._self_x + unbiased_hsic(kx, kx).diagonal()
        self._self_y = self._self_y + unbiased_hsic(ky, ky).diagonal()

    def compute(self) -> Tensor:
        """(units of the first, units of the second), in double precision."""
        scale = self._self_x[:, None] * self._self_y
        return self._cross / scale.sqrt()


def unbiased_hsic(kx: Tensor, ky: Tensor) -> Tensor:
    r"""Unbiased estimator of the Hilbert-Schmidt independence criterion.

    .. math::
        \mathrm{HSIC}_1(K, L) = \frac{1}{n(n-3)} \left[
        \mathrm{tr}(\tilde K \tilde L) +
        \frac{1^T \tilde K 1 \, 1^T \tilde L 1}{(n-1)(n-2)} -
        \frac{2}{n-2} 1^T \tilde K \tilde L 1 \right]

    with zeros on the diagonals of :math:`\tilde K` and :math:`\tilde L`: Song
    et al., `Feature Selection via Dependence Maximization
    <https://jmlr.org/papers/v13/song12a.html>`_ (2012), eq. 5.

    Args:
        kx (Tensor): Symmetric kernel matrices, (A, n, n).
        ky (Tensor): Symmetric kernel matrices, (B, n, n).

    Returns:
        Tensor: (A, B), of each with each.

    Raises:
        ValueError: If n is below 4.
    """
    n = kx.shape[-1]
    if n < 4:
        raise ValueError(
            f'CKA of a batch of {n}: the unbiased HSIC needs at least 4 '
            'images, set test_dataloader.batch_size'
        )
    off_diagonal = 1 - torch.eye(n, dtype=kx.dtype, device=kx.device)
    kx, ky = kx * off_diagonal, ky * off_diagonal
    rows_x, rows_y = kx.sum(2), ky.sum(2)
    trace = kx.flatten(1) @ ky.flatten(1).T
    total = rows_x.sum(1)[:, None] * rows_y.sum(1) / ((n - 1) * (n - 2))
    return (trace + total - 2 / (n - 2) * rows_x @ rows_y.T) / (n * (n - 3))


def _gram(x: Tensor) -> Tensor:
    """Inner products of the images; a shift of all changes no HSIC, but it
    costs digits."""
    x = x.flatten(1)
    x = x - x.mean(0)
    return (x @ x.T).double()
