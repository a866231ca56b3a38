# Copyright (c) mmfba authors.
import pytest
import torch

from mmfba.analysis.cka import MinibatchCKA, unbiased_hsic


def features(*shape, seed=0):
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=rng, dtype=torch.double)


def cka(x, y):
    measure = MinibatchCKA()
    measure.update([x], [y])
    return measure.compute().item()


def direct_hsic(x, y):
    """The mean over all ordered quadruples of different images."""
    k, m, n = x @ x.T, y @ y.T, len(x)
    total = count = 0
    for i in range(n):
        for j in range(n):
            for q in range(n):
                for r in range(n):
                    if len({i, j, q, r}) == 4:
                        total += k[i, j] * (m[i, j] + m[q, r] - 2 * m[i, q])
                        count += 1
    return total / count


def test_hsic_is_the_mean_over_all_quadruples():
    xs = [features(7, 3, seed=s) + 2 for s in (0, 1)]
    ys = [features(7, 5, seed=s) - 1 for s in (2, 3, 4)]
    found = unbiased_hsic(
        torch.stack([x @ x.T for x in xs]), torch.stack([y @ y.T for y in ys])
    )
    expected = torch.stack(
        [torch.stack([direct_hsic(x, y) for y in ys]) for x in xs]
    )
    torch.testing.assert_close(found, expected)


def test_cka_is_the_ratio_of_sums_over_batches():
    xs, ys = features(3, 6, 4), features(3, 6, 4, seed=1)
    ys = ys + xs[:, :, :1]
    measure = MinibatchCKA()
    for x, y in zip(xs, ys):
        measure.update([x, y], [y])
    cross, of_x, of_y = (
        sum(direct_hsic(a, b) for a, b in zip(first, second))
        for first, second in ((xs, ys), (xs, xs), (ys, ys))
    )
    expected = torch.stack(
        [cross / (of_x * of_y).sqrt(), torch.ones(()).double()]
    )
    torch.testing.assert_close(measure.compute(), expected[:, None])


def test_one_for_the_same_up_to_rotation_scale_and_shift():
    x = features(20, 3, 2, 2)
    rotation = torch.linalg.qr(features(12, 12, seed=1))[0]
    y = 3 * x.flatten(1) @ rotation + features(12, seed=2)
    assert cka(x, x) == pytest.approx(1, abs=1e-12)
    assert cka(x, y) == pytest.approx(1, abs=1e-12)
    stretched = x.flatten(1) * torch.linspace(0.1, 3, 12).double()
    assert cka(x, stretched) < 0.95


def test_shift_costs_no_digits_in_single_precision():
    x, y = features(20, 50), features(20, 50, seed=1)
    y = y + x
    found = cka((x + 100).float(), (y + 100).float())
    assert found == pytest.approx(cka(x, y), abs=1e-4)


def test_zero_for_independent_features_of_few_images():
    """The biased estimator gives 0.76 here."""
    measure = MinibatchCKA()
    for seed in range(100):
        x, y = features(2, 16, 50, seed=seed)
        measure.update([x], [y])
    assert measure.compute().item() == pytest.approx(0, abs=0.02)


def test_too_small_batch_is_named():
    with pytest.raises(ValueError, match='batch of 3.*batch_size'):
        cka(features(3, 2), features(3, 2))
