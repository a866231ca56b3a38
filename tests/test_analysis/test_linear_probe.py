# Copyright (c) mmfba authors.
import numpy as np
import torch

from mmfba.analysis.linear_probe import probe_accuracy, probe_input


def test_input_of_the_probe_is_the_average_of_each_quarter():
    feature = torch.rand(3, 5, 8, 6)
    quarters = probe_input(feature).view(3, 5, 2, 2)
    torch.testing.assert_close(
        quarters[:, :, 0, 1], feature[:, :, :4, 3:].mean((2, 3))
    )


def test_accuracy_is_that_of_separating_by_planes():
    rng = np.random.default_rng(0)
    labels = rng.integers(3, size=300)
    noise = rng.normal(size=(300, 4))
    centers = 10 * rng.normal(size=(3, 4))
    assert probe_accuracy(centers[labels] + noise, labels) == 100
    assert 20 < probe_accuracy(noise, labels) < 47
    # A ring around a disc: classes that no plane separates.
    radius = np.linalg.norm(noise[:, :2], axis=1)
    ring = (radius > np.median(radius)).astype(int)
    assert probe_accuracy(noise[:, :2], ring) < 70


def test_images_of_the_test_are_not_seen_in_training():
    """Labels at random: what is learnt by heart is no accuracy."""
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(100, 200))
    assert probe_accuracy(inputs, rng.integers(2, size=100)) < 75
